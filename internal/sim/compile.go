package sim

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// A group is boards that do the same.
type group struct {
	f       *Fleet
	conf    *config.Boards
	sends   []send
	answers []answer
	library *longwire.Config
	boards  []*board
	tally   *tally
}

// send is what boards send again and again.
type send struct {
	*config.Send
	data payload
}

// answer is how boards answer.
type answer struct {
	*config.Answer
	data payload
}

// A payload makes data.
type payload struct {
	text *template.Template
	hex  bool
	most int // bytes
}

// A compiler makes a group out of what the scenario says of it.
type compiler struct {
	f        *Fleet
	path     string
	problems config.Problems
}

func boardsPath(i int) string { return fmt.Sprintf("boards[%d]", i) }

func (c *compiler) problemf(setting, format string, args ...any) {
	c.problems = append(c.problems, c.f.Scenario.Problem(c.path+setting, format, args...))
}

func (c *compiler) group(conf *config.Boards) *group {
	g := &group{f: c.f, conf: conf, tally: newTally()}
	g.library = &longwire.Config{
		Format:       c.f.Format,
		MaxFrame:     c.f.MaxFrame,
		AdmitTimeout: time.Duration(c.f.Scenario.Timeout),
		Logger:       slog.New(failures{g.tally}),
	}
	for n := range conf.Count {
		g.boards = append(g.boards, newBoard(g, int(n)))
	}
	c.ids(g)
	for i := range conf.Send {
		s := &conf.Send[i]
		path := fmt.Sprintf(".send[%d]", i)
		c.fits(path+".type", s.Type)
		g.sends = append(g.sends, send{s, c.payload(g, path+".data", s.Data, s.Encoding, s.Match)})
	}
	for i := range conf.Answers {
		a := &conf.Answers[i]
		path := fmt.Sprintf(".answers[%d]", i)
		if a.Type != nil {
			c.fits(path+".type", *a.Type)
		}
		if !status.MatchString(a.Status) {
			c.problemf(path+".status", "%.64q is no status; write three digits, as in 200", a.Status)
		}
		if a.Errors+a.Silent > 100 {
			c.problemf(path+".silent", "with errors it is more than 100%%")
		}
		g.answers = append(g.answers, answer{a, c.payload(g, path+".data", a.Data, a.Encoding, a.Match)})
	}
	c.fault(g)
	if r := conf.Reconnect; r.Max < r.Min {
		c.problemf(".reconnect.max", "is less than min")
	}
	return g
}

var status = regexp.MustCompile(`^[0-9]{3}$`)

// ids gives the boards their ids and tokens.
func (c *compiler) ids(g *group) {
	conf := g.conf
	if conf.IDs != "" {
		c.idsFile(g)
	} else if conf.ID == "" {
		if conf.Token != "" {
			c.problemf(".token", "proves an id, and the boards have none")
		}
		if len(conf.Groups) > 0 || len(conf.Attributes) > 0 {
			c.problemf(".groups", "groups and attributes are said with an id, and the boards have none")
		}
		return
	}
	if !c.f.hello {
		c.problemf(".id", "is said in a hello, for whose type the frame has no room; write id: off, and send the login that the fleet has")
		return
	}
	if conf.IDs == "" {
		id, token := c.template(".id", conf.ID), c.template(".token", conf.Token)
		for _, b := range g.boards {
			b.id = c.execute(".id", id, b)
			b.token = c.execute(".token", token, b)
			if len(c.problems) > 0 {
				return
			}
		}
	}
	for _, b := range g.boards {
		if b.id == "" {
			c.problemf(".id", "is empty for board %d; write off for boards without one", b.n)
			return
		}
		if other, twice := c.f.known[b.id]; twice {
			c.problemf(".id", "is %.64q for board %d of %s and for board %d of %s; write {{.N}} where their numbers are to stand", b.id, other.n, other.g.conf.Name, b.n, g.conf.Name)
			return
		}
		c.f.known[b.id] = b
	}
}

// idsFile reads the ids and tokens of a file.
func (c *compiler) idsFile(g *group) {
	text, err := os.ReadFile(g.conf.IDs)
	if err != nil {
		c.problemf(".ids", "cannot read %.256q: %v", g.conf.IDs, innermost(err))
		return
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) > 2 {
			c.problemf(".ids", "%.256q has a line with %d words, and an id and a token are two", g.conf.IDs, len(fields))
			return
		}
		if n < len(g.boards) {
			g.boards[n].id = fields[0]
			g.boards[n].token = strings.Join(fields[1:], "")
		}
		n++
	}
	if n < len(g.boards) {
		c.problemf(".ids", "%.256q has the ids of %d boards, and there are %d", g.conf.IDs, n, len(g.boards))
	}
}

func innermost(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// fits checks that frames can have a type.
func (c *compiler) fits(setting string, t longwire.Type) {
	if t > c.f.codec.MaxType() {
		c.problemf(setting, "is %v, and the largest that a frame can say is %v", t, c.f.codec.MaxType())
	}
}

// fault checks that what is wrong with boards can be.
func (c *compiler) fault(g *group) {
	switch f := &g.conf.Fault; f.Kind {
	case config.Split, config.Slow, config.Garbage:
		if f.Bytes == 0 {
			c.problemf(".fault.bytes", "must be at least 1")
		}
	case config.Storm:
		if f.Every == 0 {
			c.problemf(".fault.every", "must be more than 0")
		}
	case config.WrongTail:
		if c.f.Format != (longwire.Config{}).Format && c.f.Format.Tail == "" && c.f.Format.Checksum.Kind == 0 {
			c.problemf(".fault.kind", "wrong_tail: the frame has neither a tail nor a checksum that could be wrong")
		}
	}
	switch f := &g.conf.Fault; f.Kind {
	case config.Garbage, config.WrongTail, config.Stop, config.HalfOpen:
		if len(g.sends) == 0 {
			c.problemf(".fault.kind", "%s comes after messages that the boards have sent, and they send none; write what, under send", f.Kind)
		}
	}
}

func (c *compiler) template(setting, text string) *template.Template {
	t, err := template.New("").Parse(text)
	if err != nil {
		c.problemf(setting, "%s", templateProblem(err))
		return nil
	}
	return t
}

// payload compiles a template for data, and tries it.
func (c *compiler) payload(g *group, setting, text string, encoding config.Encoding, match config.Match) payload {
	p := payload{c.template(setting, text), encoding == config.EncodingHex, c.f.MaxFrame}
	if p.text == nil || len(g.boards) == 0 {
		return p
	}
	data, err := p.make(g.boards[0].say(1, []byte(`{}`)))
	looksLikeJSON := len(data) > 0 && (data[0] == '{' || data[0] == '[')
	switch {
	case err != nil:
		c.problemf(setting, "%s", templateProblem(err))
	case match == config.MatchKey && p.hex:
		c.problemf(setting, "is bytes, and an envelope with a key carries JSON; write match: type or none")
	case match == config.MatchKey && looksLikeJSON && !json.Valid(data):
		c.problemf(setting, "looks like JSON and is none: %.200s", data)
	case len(data)+c.f.codec.Overhead() > c.f.MaxFrame:
		c.problemf(setting, "is %d bytes, more than a frame of %d can hold", len(data), c.f.MaxFrame)
	}
	return p
}

// execute returns what a template makes of a board.
func (c *compiler) execute(setting string, t *template.Template, b *board) string {
	if t == nil {
		return ""
	}
	data, err := (&payload{text: t, most: 4 << 10}).make(b.say(0, nil))
	if err != nil {
		c.problemf(setting, "%s", templateProblem(err))
	}
	return string(data)
}

// make returns the data for one message.
func (p *payload) make(w *words) ([]byte, error) {
	var out bytes.Buffer
	if err := p.text.Execute(&limited{&out, p.most}, w); err != nil {
		return nil, err
	}
	if !p.hex {
		return out.Bytes(), nil
	}
	data, err := hex.DecodeString(strings.Join(strings.Fields(out.String()), ""))
	if err != nil {
		return nil, fmt.Errorf("is no hexadecimal, two digits for each byte: %.100q", out.String())
	}
	return data, nil
}

var errLong = errors.New("makes more than a frame can hold")

// limited takes only so many bytes.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, errLong
	}
	return l.to.Write(b)
}

var whereInTemplate = regexp.MustCompile(`^template: :(\d+:)?(\d+: )?(executing "" at )?`)

// templateProblem says what is wrong with a template.
func templateProblem(err error) string {
	if errors.Is(err, errLong) {
		return errLong.Error()
	}
	text := whereInTemplate.ReplaceAllString(err.Error(), "")
	if strings.HasPrefix(text, "is no hex") {
		return text
	}
	return "is no template: " + strings.ReplaceAll(text, "in type *sim.words", "there; there are "+wordNames)
}
