package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/dial"
	"github.com/longwire/longwire/internal/show"
	"github.com/longwire/longwire/internal/sim"
)

// simulate is the command "longwire sim" with its flags.
type simulate struct {
	frameFlags
	cmd      *cobra.Command
	scenario string
	print    bool
	json     bool

	duration, timeout duration
	ramp, seed        count

	boards config.Boards
	send   config.Send
	answer config.Answer
	typ    typeFlag
	match  word
	faults []string
	faulty share
}

// A share is a flag's part of a whole.
type share = config.Share

func newSim() *cobra.Command {
	none := config.NewScenario()
	s := &simulate{
		duration: none.Duration, timeout: none.Timeout, ramp: none.Ramp,
		boards: config.NewBoards(), send: config.NewSend(), answer: config.NewAnswer(),
		typ: 0x10, match: word{"key", []string{"key", "type", "none"}},
		faulty: 20,
	}
	s.boards.Count = 100
	s.cmd = &cobra.Command{
		Use:   "sim ADDR",
		Short: "Simulate boards, and some that do what they should not",
		Long: `Sim connects boards to the gateway at ADDR. They say who they are, send messages, wait
for the answers, answer what the gateway asks them, and come back when they lose the
connection. At the end, after --duration or with SIGINT or SIGTERM, it prints how many were
connected, what they asked and were asked, how long answers took, and what went wrong.

Id, token and data are templates: {{.N}} is the number of the board, {{.ID}} its id,
{{.Count}} that of the message, {{.Rand 18 24}} a random number, {{.Int 1 6}} a whole one,
{{.Now}} the time, {{.Unix}} the same in milliseconds, and in an answer {{.Question}} what
was asked. Each message of a board comes at a random time within --every first.

With --fault, which can be repeated, a share of the boards has a fault, and the others have
none: what is wrong with some must not hurt the others.

  split[=BYTES]        frames come in pieces of so many bytes, 1 by default
  garbage[=BYTES]      bytes that are no frame come after two messages, 64 by default
  wrong_tail           the third frame is damaged at its end
  slow[=BYTES]         so many bytes are read in a second, 64 by default
  half_open[=TIME]     after two messages nothing is read or written, 2m by default
  stop[=TIME]          the third frame stops in the middle, for 30s by default
  storm[=TIME]         all go and come back at once, every 30s by default

A scenario file describes groups of boards with all there is to set; --print-scenario
prints one, with what each setting means. The exit status is 1 when a board that does
nothing wrong (split and storm are nothing wrong) was not let in, or not answered.`,
		Example: `  longwire sim 127.0.0.1:10302 --count 18000 --ramp 1000 --every 30s
  longwire sim 127.0.0.1:10302 --fault garbage --fault stop=5s --fault split=3 --faulty 30%
  longwire sim --print-scenario --count 10 > boards.yaml
  longwire sim 127.0.0.1:10302 --scenario boards.yaml --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if s.print && len(args) == 0 {
				return nil
			}
			return arguments("ADDR")(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	s.addFlags()
	return s.cmd
}

func (s *simulate) addFlags() {
	f := s.cmd.Flags()
	f.SortFlags = false
	f.Var(&s.boards.Count, "count", "how many boards there are")
	f.Var(&s.ramp, "ramp", "how many begin in a second")
	f.Var(&s.duration, "duration", "how long they are at work when all have begun; 0 for until a signal comes")
	f.Var(&s.boards.First, "first", "number of the first one")
	f.StringVar(&s.boards.ID, "id", "sim-{{.N}}", "`template` of who a board says it is; empty for boards that say no hello")
	f.StringVar(&s.boards.Token, "token", "", "`template` of what proves it; safer in LONGWIRE_TOKEN, where others cannot list it")
	f.StringVar(&s.boards.IDs, "ids", "", "`file` with an id and a token for each board, in lines, in place of both")
	f.Var(&s.typ, "type", "type of the messages that boards send, as in 16 or 0x10")
	f.StringVar(&s.send.Data, "data", `{"n":{{.Count}}}`, "`template` of their data")
	f.Var(&s.send.Every, "every", "how long from one message of a board to the next; 0 for none at all")
	f.Var(&s.send.Jitter, "jitter", "by how much that is longer or shorter, at random")
	f.Var(&s.match, "match", "how answers are found: key (by that of the envelope), type (the data travels as it is, and the next message of the type is the answer) or none")
	f.StringVar(&s.answer.Data, "answer", "", "`template` of the data of answers to the gateway's questions")
	f.Var(&s.answer.Delay, "delay", "how long a board takes to answer")
	f.Var(&s.answer.Errors, "errors", "how many of the gateway's questions are answered with status 500")
	f.Var(&s.answer.Silent, "silent", "how many are not answered")
	f.Var(&s.boards.Reconnect.Min, "min-backoff", "shortest pause before a board connects again")
	f.Var(&s.boards.Reconnect.Max, "max-backoff", "longest pause")
	f.StringArrayVar(&s.faults, "fault", nil, "`kind`[=value] of what is wrong with some boards; can be repeated")
	f.Var(&s.faulty, "faulty", "how many boards have the faults, in equal parts")
	f.Var(&s.timeout, "timeout", "how long a connection may take to open, and an answer to come")
	f.Var(&s.seed, "seed", "what random numbers begin with; 0 for others each time")
	f.StringVar(&s.scenario, "scenario", "", "`file` that says what the boards do, in place of flags")
	f.BoolVar(&s.print, "print-scenario", false, "print the scenario, with what its settings mean, and end")
	f.BoolVar(&s.json, "json", false, "print one JSON object")
	completeWord(s.cmd, "match", s.match)
	fallBack(s.cmd, "token")
	s.frameFlags.addFlags(s.cmd)
}

func (s *simulate) run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if err := checkAddress(args[0]); err != nil {
			return err
		}
	}
	frames, err := s.read()
	if err != nil {
		return err
	}
	scenario, err := s.readScenario(frames)
	if err != nil {
		return err
	}
	options := sim.Options{Scenario: scenario, Format: frames.format, MaxFrame: frames.maxFrame}
	if s.print {
		if _, err := sim.New(options); err != nil {
			return s.problem(err)
		}
		_, err := s.cmd.OutOrStdout().Write(scenario.YAML())
		return err
	}
	options.Addr = args[0]
	fleet, err := sim.New(options)
	if err != nil {
		return s.problem(err)
	}
	if err := s.checkPorts(args[0], fleet.Boards()); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Most of the memory is stacks, which never are garbage, and the collector would wait until there
		// is as much garbage as there is of both.
		debug.SetGCPercent(50)
	}
	report, err := untilAborted(ctx, func(ctx context.Context) (*sim.Report, error) {
		p := newProgressLine(s.cmd.ErrOrStderr())
		defer p.end()
		return fleet.Run(ctx, p.show), nil
	})
	if err != nil {
		return err
	}
	if err := s.printReport(report, args[0]); err != nil {
		return err
	}
	return honestProblem(report)
}

// readScenario returns what the file says, or else what the flags say.
func (s *simulate) readScenario(frames described) (*config.Scenario, error) {
	scenario, err := s.fromFlags(frames)
	if s.scenario != "" {
		scenario, err = s.fromFile()
	}
	if err != nil {
		return nil, err
	}
	for name, set := range map[string]func(){
		"duration": func() { scenario.Duration = s.duration },
		"timeout":  func() { scenario.Timeout = s.timeout },
		"ramp":     func() { scenario.Ramp = s.ramp },
		"seed":     func() { scenario.Seed = s.seed },
	} {
		if s.cmd.Flags().Changed(name) {
			set()
			scenario.Said(name, "--"+name)
		}
	}
	switch {
	case scenario.Ramp == 0:
		return nil, usagef("--ramp: must be at least 1")
	case scenario.Timeout == 0:
		return nil, usagef("--timeout: must be more than 0")
	}
	return scenario, nil
}

// flagsOfBoards are those that a scenario file stands in place of.
var flagsOfBoards = []string{"count", "first", "id", "token", "ids", "type", "data", "every", "jitter", "match", "answer", "delay",
	"errors", "silent", "min-backoff", "max-backoff", "fault", "faulty"}

func (s *simulate) fromFile() (*config.Scenario, error) {
	for _, name := range flagsOfBoards {
		if s.cmd.Flags().Changed(name) && os.Getenv(variable(name)) == "" {
			return nil, usagef("--%s: with --scenario the file says what the boards do; write it there, or leave --scenario out", name)
		}
	}
	text, err := os.ReadFile(s.scenario)
	if err != nil {
		return nil, usagef("--scenario: cannot read %s: %v", show.Printable(s.scenario), innermost(err))
	}
	scenario, err := config.ParseScenario(s.scenario, text)
	if err != nil {
		return nil, usagef("--scenario: %v", firstProblem(err))
	}
	return scenario, nil
}

// fromFlags makes a scenario of flags: one group without a fault, and one for each fault.
func (s *simulate) fromFlags(frames described) (*config.Scenario, error) {
	scenario := config.NewScenario()
	total := int(s.boards.Count)
	switch {
	case total == 0:
		return nil, usagef("--count: must be at least 1")
	case s.boards.IDs != "" && len(s.faults) > 0:
		return nil, usagef("--ids: with faults there are several groups of boards; write a scenario, with a file for each")
	case s.boards.Reconnect.Min == 0:
		return nil, usagef("--min-backoff: must be more than 0")
	}
	b := s.boards
	if codec, err := frame.NewCodec(frames.format); err == nil && codec.MaxType() < 0xFFFF && !s.cmd.Flags().Changed("id") {
		b.ID = "" // there is no room for a hello
	}
	if b.IDs != "" {
		b.ID = ""
	}
	b.Name = "honest"
	if s.send.Every > 0 {
		send := s.send
		send.Type, send.Match = longwire.Type(s.typ), config.Match(s.match.chosen)
		b.Send = []config.Send{send}
	}
	b.Answers = []config.Answer{s.answer}
	faulty := 0
	if len(s.faults) > 0 {
		faulty = max(len(s.faults), total*int(s.faulty)/100)
	}
	if faulty > total {
		return nil, usagef("--count: %d boards are too few for %d faults", total, len(s.faults))
	}
	b.Count = config.Count(total - faulty)
	s.addGroup(scenario, b, "")
	for i, text := range s.faults {
		if err := b.Fault.Parse(text); err != nil {
			return nil, usagef("--fault: %v", err)
		}
		b.Name = fmt.Sprintf("%s-%d", b.Fault.Kind, i+1)
		b.Count = config.Count(faulty*(i+1)/len(s.faults) - faulty*i/len(s.faults))
		s.addGroup(scenario, b, "--fault "+show.Printable(text))
	}
	if problems := scenario.Complete(nil); len(problems) > 0 {
		return nil, usagef("%s", firstProblem(problems))
	}
	return scenario, nil
}

// addGroup adds a group of boards, whose numbers go on behind those that are there.
func (s *simulate) addGroup(scenario *config.Scenario, b config.Boards, fault string) {
	if b.Count == 0 {
		return
	}
	for _, before := range scenario.Boards {
		b.First += before.Count
	}
	path := fmt.Sprintf("boards[%d]", len(scenario.Boards))
	scenario.Boards = append(scenario.Boards, b)
	for setting, flag := range map[string]string{
		".name": "--count", ".count": "--count", ".id": "--id", ".token": "--token", ".ids": "--ids",
		".reconnect.max": "--max-backoff", ".send[0].type": "--type", ".send[0].data": "--data",
		".answers[0].data": "--answer", ".answers[0].silent": "--silent",
	} {
		scenario.Said(path+setting, flag)
	}
	if fault != "" {
		scenario.Said(path+".fault.kind", fault)
	}
}

// problem makes an error of package sim into a sentence.
func (s *simulate) problem(err error) error {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		if s.scenario != "" {
			return usagef("--scenario: %s", firstProblem(problems))
		}
		return usagef("%s", firstProblem(problems[:1]))
	}
	if e, ok := errors.AsType[*dial.LimitError](err); ok {
		return fmt.Errorf("%d boards are too many where a process may have %d file descriptors; raise that limit (ulimit -n), or share them among several processes, with --first", e.Conns, e.Limit)
	}
	return innermost(err)
}

// portsOfOneAddress is how many connections one address can open to another on Linux, as it is by
// default.
const portsOfOneAddress = 28_232

// checkPorts looks whether there are ports for so many connections.
func (s *simulate) checkPorts(address string, boards int) error {
	host, _, _ := net.SplitHostPort(address)
	resolved, err := net.ResolveIPAddr("ip4", host)
	if boards <= portsOfOneAddress || err == nil && resolved.IP.IsLoopback() {
		return nil
	}
	return usagef("%d boards are too many for one address, which has about 28,000 ports to connect to another from; run several, on machines of their own, with --first", boards)
}

// honestProblem is the error when the gateway has not done for boards that do nothing wrong what
// it must.
func honestProblem(r *sim.Report) error {
	var problems []string
	ports := ""
	for _, g := range r.Groups {
		if p := g.Problem(); p != "" {
			problems = append(problems, g.Name+": "+p)
		}
		if g.NotConnected["no_free_port"] > 0 {
			ports = "; no_free_port: one address has about 28,000 ports to connect to another from, and each is taken for a minute longer than its connection"
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New("boards that do nothing wrong were not served: " + strings.Join(problems, "; ") + ports)
}
