package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longwire/longwire"
)

// A Scenario is what simulated boards do; see package sim. Texts of boards are templates of
// package text/template.
type Scenario struct {
	Duration Duration `yaml:"duration" or:"off" doc:"How long the boards are at work, from when the last one has begun; off for until a signal comes."`
	Ramp     Count    `yaml:"ramp" doc:"How many boards begin in a second."`
	Timeout  Duration `yaml:"timeout" doc:"How long a connection may take to open, and an answer to come."`
	Seed     Count    `yaml:"seed" or:"off" doc:"What random numbers begin with, so that a run can be repeated; off for others each time."`
	Boards   []Boards `yaml:"boards" doc:"Groups of boards that do the same."`

	name    string
	origins map[string]origin
}

// Boards is a group of boards that do the same.
type Boards struct {
	Name       string            `yaml:"name" default:"boards-1, boards-2 and so on" doc:"What the report calls the group."`
	Count      Count             `yaml:"count" doc:"How many boards there are in it."`
	First      Count             `yaml:"first" doc:"Number of the first one."`
	ID         string            `yaml:"id" or:"off" default:"the name of the group, a dash and {{.N}}" doc:"Who a board says it is, in a hello; {{.N}} is its number. off for boards that say no hello."`
	Token      string            `yaml:"token" or:"off" doc:"What proves the id."`
	IDs        string            `yaml:"ids" or:"off" doc:"File with a line for each board: its id and, after a space, its token; in place of id and token."`
	Groups     []string          `yaml:"groups" doc:"Groups of the gateway that the boards say they are in."`
	Attributes map[string]string `yaml:"attributes" doc:"Attributes that the boards say they have."`
	Send       []Send            `yaml:"send" doc:"What the boards send of their own accord."`
	Answers    []Answer          `yaml:"answers" doc:"How they answer questions: as the first that is for the question's type. Without one, with status 200 at once."`
	Reconnect  Reconnect         `yaml:"reconnect" doc:"How long they wait before they connect again."`
	Fault      Fault             `yaml:"fault" short:"kind" doc:"What is wrong with them. The kind alone may stand here."`
}

// Send is what a board sends again and again.
type Send struct {
	Type     longwire.Type `yaml:"type" example:"0x10" doc:"Type of the messages."`
	Data     string        `yaml:"data" or:"off" doc:"Their data, as in {\"t\":{{.Rand 18 24}},\"n\":{{.Count}}}."`
	Encoding Encoding      `yaml:"encoding" doc:"What data is: text, or hex for bytes in hexadecimal."`
	Every    Duration      `yaml:"every" doc:"How long from one to the next."`
	Jitter   Share         `yaml:"jitter" or:"off" doc:"By how much that is longer or shorter, at random."`
	Match    Match         `yaml:"match" doc:"How the answer is found: key (by the key of the envelope in which data travels), type (it is the next message of the type, and data travels as it is) or none (as type, and no answer is waited for)."`
}

// Answer is how a board answers questions.
type Answer struct {
	Type     *longwire.Type `yaml:"type" example:"0x10" default:"all types" doc:"Type of the questions."`
	Match    Match          `yaml:"match" doc:"What is a question: key (what has a key in an envelope), type (every message of the type, which is answered with bytes as they are) or none (nothing)."`
	Status   string         `yaml:"status" doc:"Status of the answer."`
	Data     string         `yaml:"data" or:"off" doc:"Its data."`
	Encoding Encoding       `yaml:"encoding" doc:"What data is: text, or hex for bytes in hexadecimal."`
	Delay    Duration       `yaml:"delay" or:"off" doc:"How long the board takes. Meanwhile it does not look at other questions."`
	Jitter   Share          `yaml:"jitter" or:"off" doc:"By how much that is longer or shorter, at random."`
	Errors   Share          `yaml:"errors" or:"off" doc:"How many of the questions are answered with status 500, at random."`
	Silent   Share          `yaml:"silent" or:"off" doc:"How many are not answered, at random."`
}

// Reconnect is how a board comes back; see [longwire.Client].
type Reconnect struct {
	Min Duration `yaml:"min" doc:"The shortest pause. The first one is at most 32 times as long, and each that fails doubles that."`
	Max Duration `yaml:"max" doc:"The longest pause."`
}

// Fault is what is wrong with a board.
type Fault struct {
	Kind  FaultKind `yaml:"kind" doc:"none, split (frames come in pieces), garbage (bytes that are no frame come between frames), wrong_tail (a frame is damaged at its end), slow (it reads slowly), half_open (it neither reads nor writes any more), stop (it stops inside a frame) or storm (all go and come back at once)."`
	Bytes Count     `yaml:"bytes" or:"off" default:"1 for split, 64 for garbage and slow" doc:"How many bytes a piece has, or the garbage, or are read in a second."`
	Pause Duration  `yaml:"pause" or:"off" default:"off" doc:"Between the pieces of split; and how long after its beginning the last board joins a storm."`
	After Count     `yaml:"after" or:"off" default:"2" doc:"After how many messages of a connection garbage, wrong_tail, half_open and stop come."`
	Hold  Duration  `yaml:"hold" or:"off" default:"30s for stop, 2m for half_open" doc:"How long the board then stays as it is, if the gateway does not end the connection."`
	Every Duration  `yaml:"every" or:"off" default:"30s" doc:"How long from one storm to the next."`
	Share Share     `yaml:"share" or:"off" default:"100%" doc:"How many of the boards join a storm, at random."`
}

// A Share is a part of a whole, in percent.
type Share int

// Set reads a number with a percent sign.
func (s *Share) Set(text string) error {
	digits, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || n > 100 {
		return fmt.Errorf("%.64q is no share; write it as in 20%%, at most 100%%", text)
	}
	*s = Share(n)
	return nil
}

func (s Share) String() string { return strconv.Itoa(int(s)) + "%" }

// Type is what the help calls a flag's value.
func (Share) Type() string { return "percent" }

// Match says how an answer is found.
type Match string

const (
	MatchKey  Match = "key"
	MatchType Match = "type"
	MatchNone Match = "none"
)

func (Match) words() []string { return []string{"key", "type", "none"} }

// Encoding is what data stands for.
type Encoding string

const (
	EncodingText Encoding = "text"
	EncodingHex  Encoding = "hex"
)

func (Encoding) words() []string { return []string{"text", "hex"} }

// FaultKind is what is wrong.
type FaultKind string

const (
	NoFault   FaultKind = "none"
	Split     FaultKind = "split"
	Garbage   FaultKind = "garbage"
	WrongTail FaultKind = "wrong_tail"
	Slow      FaultKind = "slow"
	HalfOpen  FaultKind = "half_open"
	Stop      FaultKind = "stop"
	Storm     FaultKind = "storm"
)

func (FaultKind) words() []string {
	return []string{"none", "split", "garbage", "wrong_tail", "slow", "half_open", "stop", "storm"}
}

// FaultKinds returns the words for all that can be wrong.
func FaultKinds() []string { return FaultKind("").words()[1:] }

// NewScenario returns a scenario without boards.
func NewScenario() *Scenario {
	s := &Scenario{origins: make(map[string]origin)}
	s.setDefaults()
	return s
}

// ParseScenario reads the text of a scenario file, which name is what errors call. The
// error is [Problems], with all of them. Templates are looked at where they are used.
func ParseScenario(name string, data []byte) (*Scenario, error) {
	d := &decoder{name: name, origins: make(map[string]origin)}
	s := NewScenario()
	s.name, s.origins = name, d.origins
	root, problem := parseYAML(data)
	if problem != nil {
		problem.File = name
		return nil, Problems{problem}
	}
	if root != nil {
		d.decode(root, root.Line, reflect.ValueOf(s).Elem(), "", setting{})
	}
	if err := append(d.problems, s.Complete(d.problems)...).err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Complete fills in the defaults that depend on other settings, and returns what does not fit
// together. Where there are problems already, no more are looked for.
func (s *Scenario) Complete(before Problems) (problems Problems) {
	for i := range s.Boards {
		b, path := &s.Boards[i], fmt.Sprintf("boards[%d]", i)
		if !s.given(path + ".name") {
			b.Name = fmt.Sprintf("boards-%d", i+1)
		}
		if !s.given(path+".id") && b.IDs == "" {
			b.ID = b.Name + "-{{.N}}"
		}
		for n := range b.Send {
			if below := fmt.Sprintf("%s.send[%d]", path, n); b.Send[n].Type == noType && len(before) == 0 {
				problems = append(problems, s.Problem(below, "has no type; write which messages these are, as in type: 0x10"))
			}
		}
		for name, says := range b.Fault.complete(func(name string) bool { return s.given(path + ".fault." + name) }) {
			problems = append(problems, s.Problem(path+".fault."+name, "%s", says))
		}
	}
	return problems
}

// faultSettings are the settings that a fault has, with their defaults.
var faultSettings = map[FaultKind]map[string]int64{
	NoFault:   {},
	Split:     {"bytes": 1, "pause": 0},
	Garbage:   {"bytes": 64, "after": 2},
	WrongTail: {"after": 2},
	Slow:      {"bytes": 64},
	HalfOpen:  {"after": 2, "hold": int64(2 * time.Minute)},
	Stop:      {"after": 2, "hold": int64(30 * time.Second)},
	Storm:     {"every": int64(30 * time.Second), "share": 100, "pause": 0},
}

// complete fills in what a fault of the kind has, and returns what is said and has no meaning
// for it.
func (f *Fault) complete(given func(setting string) bool) map[string]string {
	wrong := make(map[string]string)
	has := faultSettings[f.Kind]
	for _, s := range settingsOf(reflect.TypeFor[Fault]())[1:] {
		def, ok := has[s.name]
		switch {
		case ok && !given(s.name) && reflect.ValueOf(f).Elem().FieldByIndex(s.index).IsZero():
			reflect.ValueOf(f).Elem().FieldByIndex(s.index).SetInt(def)
		case !ok && given(s.name) && !reflect.ValueOf(f).Elem().FieldByIndex(s.index).IsZero():
			wrong[s.name] = "has no meaning for the fault " + string(f.Kind) + "; it is one of " + strings.Join(faultsWith(s.name), " and ")
		}
	}
	return wrong
}

// Parse reads a kind of fault, and after = the value of the setting that matters most for it:
// bytes, hold or every.
func (f *Fault) Parse(text string) error {
	kind, value, more := strings.Cut(text, "=")
	chosen, err := choose(kind, FaultKinds())
	if err != nil {
		return err
	}
	*f = Fault{Kind: FaultKind(chosen)}
	f.complete(func(string) bool { return false })
	if !more {
		return nil
	}
	for _, name := range []string{"bytes", "hold", "every"} {
		if _, ok := faultSettings[f.Kind][name]; ok {
			s, _ := settingOf(reflect.TypeFor[Fault](), name)
			s.or = nil
			if err := s.set(reflect.ValueOf(f).Elem().FieldByIndex(s.index), value); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			return nil
		}
	}
	return fmt.Errorf("%s takes no value, and has %.64q", kind, value)
}

func faultsWith(setting string) (kinds []string) {
	for kind, has := range faultSettings {
		if _, ok := has[setting]; ok {
			kinds = append(kinds, string(kind))
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (s *Scenario) setDefaults() {
	s.Duration, s.Ramp, s.Timeout = Duration(time.Minute), 500, Duration(10*time.Second)
}

func (b *Boards) setDefaults() {
	b.Count, b.First = 1, 1
	b.Reconnect = Reconnect{Duration(100 * time.Millisecond), Duration(30 * time.Second)}
	b.Fault.Kind = NoFault
}

func (s *Send) setDefaults() {
	*s = Send{Type: noType, Encoding: EncodingText, Every: Duration(10 * time.Second), Match: MatchKey}
}

func (a *Answer) setDefaults() {
	*a = Answer{Match: MatchKey, Status: longwire.StatusOK, Encoding: EncodingText}
}

// ForType reports whether it is how questions of a type are answered.
func (a *Answer) ForType(t longwire.Type) bool { return a.Type == nil || *a.Type == t }

// NewBoards returns a group of boards that do nothing.
func NewBoards() (b Boards) { b.setDefaults(); return b }

// NewSend returns messages without a type.
func NewSend() (s Send) { s.setDefaults(); return s }

// NewAnswer returns how boards answer questions of all types where nothing is said.
func NewAnswer() (a Answer) { a.setDefaults(); return a }

func (s *Scenario) given(path string) bool {
	_, ok := s.origins[path]
	return ok
}

// Said notes that a flag is where the value of a setting is from.
func (s *Scenario) Said(setting, flag string) { s.origins[setting] = origin{from: flag} }

// Problem returns the problem that a setting turned out to have when it was used: it names
// where the value is from.
func (s *Scenario) Problem(setting, format string, args ...any) *Problem {
	c := Config{name: s.name, origins: s.origins}
	return c.Problem(setting, format, args...)
}

// YAML returns the scenario as a file, with what each setting means and where it has its value
// from, unless that is the default. Tokens are in it.
func (s *Scenario) YAML() []byte {
	p := &printer{origins: s.origins, name: s.name}
	p.section(reflect.ValueOf(s).Elem(), "", "", true)
	return p.out.Bytes()
}
