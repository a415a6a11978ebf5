package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

// serve starts a gateway of the library: it lets in who has the token, and answers everything.
func serve(t *testing.T, format frame.Format, token string, handle longwire.HandlerFunc) (*longwire.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if handle == nil {
		handle = func(context.Context, *longwire.Message) (any, error) { return "seen", nil }
	}
	s := &longwire.Server{Handler: handle, Config: &longwire.Config{Format: format, FrameTimeout: time.Second}}
	if token != "" {
		s.Admit = func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			m, err := c.Receive(ctx)
			if err != nil {
				return nil, err
			}
			var h longwire.Hello
			if err := m.Decode(&h); err != nil {
				return nil, err
			}
			if h.Token != strings.ReplaceAll(token, "ID", h.ID) {
				return nil, longwire.Errorf(longwire.StatusUnauthorized, "no")
			}
			return nil, nil
		}
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

// simulate runs a scenario, and returns its groups by name.
func simulate(t *testing.T, addr string, format frame.Format, text string) map[string]Group {
	t.Helper()
	s, err := config.ParseScenario("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Addr: addr, Scenario: s, Format: format, MaxFrame: frame.DefaultMaxFrame})
	if err != nil {
		t.Fatal(err)
	}
	groups := make(map[string]Group)
	for _, g := range f.Run(t.Context(), func(Progress) {}).Groups {
		groups[g.Name] = g
	}
	return groups
}

// settled returns what the server has counted when all connections are over.
func settled(t *testing.T, s *longwire.Server) longwire.Stats {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		stats := s.Stats()
		if stats.Open == 0 {
			return stats
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections stay", stats.Open)
		}
	}
}

func TestHonestBoards(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, frame.Format{}, "secret-ID", func(_ context.Context, m *longwire.Message) (any, error) {
		if m.Type == 3 { // a board waits for no answer to it, and may be gone when one comes
			return nil, nil
		}
		return "seen", nil
	})
	a := simulate(t, addr, frame.Format{}, `
duration: 2s
ramp: 1000
boards:
- {name: a, count: 20, token: "secret-{{.ID}}", send: [{type: 1, data: '{"n":{{.N}}}', every: 50ms}, {type: 2, data: 'raw', match: type, every: 50ms}, {type: 3, data: '0a0b', encoding: hex, match: none, every: 100ms}]}
`)["a"]
	stats := settled(t, s)
	if a.Connected != 20 || a.Online != 20 || a.Asked < 100 || a.Answered != a.Asked || a.Pushed == 0 || len(a.Errors) > 0 || a.Problem() != "" {
		t.Errorf("%+v", a)
	}
	if a.Took.Samples != a.Asked || a.Took.P50 <= 0 {
		t.Errorf("%+v", a.Took)
	}
	if a.FramesOut != stats.FramesIn || a.FramesIn != stats.FramesOut {
		t.Errorf("boards sent %d frames and received %d; the server received %d and sent %d", a.FramesOut, a.FramesIn, stats.FramesIn, stats.FramesOut)
	}
	if a.Connections != stats.Opened {
		t.Errorf("%d connections, %d at the server", a.Connections, stats.Opened)
	}
}

func TestBoardsThatAreRefused(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, frame.Format{}, "secret-ID", nil)
	wrong := simulate(t, addr, frame.Format{}, `
duration: 1s
boards:
- {name: wrong, count: 2, token: other}
`)["wrong"]
	if wrong.Connected != 0 || wrong.NotConnected["hello_status_401"] < 2 || !strings.Contains(wrong.Problem(), "2 of 2 boards were never connected (hello_status_401 ") {
		t.Errorf("%+v, %s", wrong, wrong.Problem())
	}
}

// Whatever the frame, each fault shows at the server as what it is, and boards that do nothing
// wrong are answered.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]frame.Format{
		"default": {},
		"other": {
			Head: "\xAA\x55", Length: frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData}, Type: frame.TypeField{Offset: 4, Width: 2},
			Order: frame.LittleEndian, Checksum: frame.Checksum{Kind: frame.CRC16Modbus, Order: frame.LittleEndian},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, addr := serve(t, format, "", nil)
			const sends = `send: [{type: 16, data: '{"n":{{.Count}}}', every: 50ms}], reconnect: {min: 10ms, max: 20ms}`
			g := simulate(t, addr, format, fmt.Sprintf(`
duration: 1100ms # it ends between two storms
ramp: 1000
boards:
- {name: none, count: 5, %[1]s}
- {name: split, count: 2, %[1]s, fault: {kind: split, bytes: 2}}
- {name: storm, count: 2, %[1]s, fault: {kind: storm, every: 200ms}}
- {name: garbage, count: 2, %[1]s, fault: {kind: garbage, bytes: 10}}
- {name: wrong_tail, count: 2, %[1]s, fault: wrong_tail}
- {name: stop, count: 2, %[1]s, fault: {kind: stop, hold: 100ms}}
- {name: half_open, count: 2, %[1]s, fault: {kind: half_open, hold: 100ms}}
- {name: slow, count: 2, id: off, %[1]s, fault: {kind: slow, bytes: 300}}
`, sends))
			stats := settled(t, s)
			all := Group{}
			for name, one := range g {
				if one.Connected != one.Boards || one.Answered == 0 || one.Problem() != "" {
					t.Errorf("%s: %+v %s", name, one, one.Problem())
				}
				all.FramesOut += one.FramesOut
				all.Connections += one.Connections
			}
			if stats.Opened != all.Connections || stats.FramesIn != all.FramesOut {
				t.Errorf("boards: %d connections, %d frames; the server: %d, %d", all.Connections, all.FramesOut, stats.Opened, stats.FramesIn)
			}
			if st := g["storm"]; st.Storms == 0 || st.Connections != st.Storms+2 || st.Answered != st.Asked {
				t.Errorf("storms: %+v", st)
			}
			bad := g["garbage"].Ended["peer_closed"] + g["wrong_tail"].Ended["peer_closed"]
			if got := stats.Closed[longwire.ReasonBadFrame]; got == 0 || got < bad || got > g["garbage"].Connections+g["wrong_tail"].Connections {
				t.Errorf("%d connections ended for bytes that are no frame, %d at the boards", got, bad)
			}
			if got := stats.Closed[longwire.ReasonTruncated]; got == 0 || got > g["stop"].Connections {
				t.Errorf("%d connections ended inside a frame, of %d", got, g["stop"].Connections)
			}
			if got := stats.Closed[longwire.ReasonLost]; got == 0 || g["half_open"].Ended["lost"] < got {
				t.Errorf("%d connections were reset, %v", got, g["half_open"].Ended)
			}
			if g["slow"].Took.P50 < 150*time.Millisecond {
				t.Errorf("what reads slowly is answered after %v", g["slow"].Took.P50)
			}
		})
	}
}

// Boards answer as their scripts say, whether they are of the library or not.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"none", "split"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			answers := make(map[longwire.Type]string)
			ask := func(ctx context.Context, c *longwire.Conn, typ longwire.Type) {
				var e longwire.Envelope
				wait := 10 * time.Second
				if typ == 3 { // the script says nothing to it
					wait = 200 * time.Millisecond
				}
				timed, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				began := time.Now()
				err := c.Ask(timed, typ, map[string]int{"q": 1}, &e)
				text := fmt.Sprintf("%s %s", e.Status, e.Data)
				if e.Status == "" {
					text = fmt.Sprint(errors.Is(err, context.DeadlineExceeded))
				}
				if typ == 4 && time.Since(began) < 50*time.Millisecond {
					text += " too early"
				}
				if typ == 6 {
					var raw longwire.Raw
					err := c.AskByType(ctx, typ, longwire.Raw("what"), &raw)
					text = fmt.Sprintf("%x %v", []byte(raw), err)
				}
				mu.Lock()
				answers[typ] = text
				mu.Unlock()
			}
			_, addr := serve(t, frame.Format{}, "", func(ctx context.Context, m *longwire.Message) (any, error) {
				for typ := range longwire.Type(7) {
					ask(ctx, m.Conn(), typ+1)
				}
				return nil, nil
			})
			g := simulate(t, addr, frame.Format{}, `
duration: 900ms
boards:
- fault: `+fault+`
  send: [{type: 100, every: 1h, data: x}, {type: 101, every: 1ms, jitter: 0%, data: x}]
  answers:
  - {type: 1, data: '{"is":{{.Question}},"n":{{.N}}}'}
  - {type: 2, status: "404"}
  - {type: 3, silent: 100%}
  - {type: 4, delay: 50ms, data: 'late'}
  - {type: 5, errors: 100%}
  - {type: 6, match: type, data: '00 ff {{printf "%02x" .N}}', encoding: hex}
  - {data: 'any other'}
`)
			mu.Lock()
			defer mu.Unlock()
			want := map[longwire.Type]string{
				1: `200 {"is":{"q":1},"n":1}`, 2: "404 null", 3: "true", 4: `200 "late"`, 5: "500 null", 6: "00ff01 <nil>", 7: `200 "any other"`,
			}
			for typ, text := range want {
				if answers[typ] != text {
					t.Errorf("type %d: %q, want %q", typ, answers[typ], text)
				}
			}
			one := g["boards-1"]
			if one.Questions < 7 || one.RepliedError == 0 || one.LeftSilent == 0 || one.Questions != one.Replied+one.RepliedError+one.LeftSilent {
				t.Errorf("%+v", one)
			}
		})
	}
}

// Where nobody answers, that is told.
func TestSilentGateway(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, frame.Format{}, "", func(context.Context, *longwire.Message) (any, error) { return longwire.NoAnswer, nil })
	g := simulate(t, addr, frame.Format{}, `
duration: 300ms
timeout: 200ms
boards: [{name: a, count: 2, send: [{type: 1, every: 20ms, data: x}]}, {name: b, count: 1, send: [{type: 1, every: 20ms, data: x}], fault: split}]
`)
	for _, name := range []string{"a", "b"} {
		if one := g[name]; one.Answered != 0 || one.Errors["timeout"] != one.Asked || one.Asked == 0 || !strings.Contains(one.Problem(), "were not answered as they should (timeout ") {
			t.Errorf("%+v %s", one, one.Problem())
		}
	}
}

// A run that is cut short in its ramp is no failure of the gateway.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, frame.Format{}, "", nil)
	s, err := config.ParseScenario("", []byte("ramp: 10\nduration: off\nboards: [{count: 1000}]"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Addr: addr, Scenario: s, MaxFrame: frame.DefaultMaxFrame})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	r := f.Run(ctx, func(Progress) {})
	if g := r.Groups[0]; g.Begun == 0 || g.Begun > 10 || g.Problem() != "" {
		t.Errorf("%+v %s", g, g.Problem())
	}
}

func TestProblems(t *testing.T) {
	dir := t.TempDir()
	ids := filepath.Join(dir, "ids")
	if err := os.WriteFile(ids, []byte("# ids\na 1\n\nb\nc 1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"": "boards: there are none",
		"boards: [{send: [{type: 1, data: '{{.X}}'}]}]":                           `boards[0].send[0].data: is no template: <.X>: can't evaluate field X there; there are .ID, .N`,
		"boards: [{send: [{type: 1, data: '{{'}]}]":                               "boards[0].send[0].data: is no template: ",
		"boards: [{send: [{type: 1, data: '{\"a\":}'}]}]":                         "boards[0].send[0].data: looks like JSON and is none",
		"boards: [{send: [{type: 1, data: '{\"a\":}', match: type}]}]":            "",
		"boards: [{send: [{type: 1, data: 'zz', encoding: hex, match: none}]}]":   "boards[0].send[0].data: is no hexadecimal",
		"boards: [{send: [{type: 1, data: '00', encoding: hex}]}]":                "boards[0].send[0].data: is bytes, and an envelope",
		"boards: [{send: [{type: 1, data: '{{printf \"%2000000d\" 1}}'}]}]":       "boards[0].send[0].data: makes more than a frame can hold",
		"boards: [{send: [{type: 1, data: '{{printf \"%1048570d\" 1}}'}]}]":       "boards[0].send[0].data: is 1048570 bytes, more than a frame of 1048576 can hold",
		"boards: [{send: [{type: 0x10000}]}]":                                     "boards[0].send[0].type: is 0x10000, and the largest",
		"boards: [{count: 2, id: x}]":                                             `boards[0].id: is "x" for board 1 of boards-1 and for board 2 of boards-1`,
		"boards: [{id: 'b-{{.N}}', count: 3}, {id: 'b-{{.N}}', first: 3}]":        `boards[1].id: is "b-3" for board 3 of boards-1 and for board 3 of boards-2`,
		"boards: [{id: '{{.X}}'}]":                                                "boards[0].id: is no template",
		"boards: [{id: '{{\"\"}}'}]":                                              "boards[0].id: is empty for board 1",
		"boards: [{id: off, token: x}]":                                           "boards[0].token: proves an id",
		"boards: [{id: off, groups: [x]}]":                                        "boards[0].groups: groups and attributes are said with an id",
		"boards: [{ids: " + ids + ", count: 2}]":                                  `boards[0].ids: "` + ids + `" has a line with 3 words`,
		"boards: [{ids: " + dir + "/none}]":                                       "boards[0].ids: cannot read",
		"boards: [{answers: [{status: ok}]}]":                                     `boards[0].answers[0].status: "ok" is no status`,
		"boards: [{answers: [{errors: 60%, silent: 60%}]}]":                       "boards[0].answers[0].silent: with errors it is more than 100%",
		"boards: [{reconnect: {min: 2s, max: 1s}}]":                               "boards[0].reconnect.max: is less than min",
		"boards: [{fault: garbage}]":                                              "boards[0].fault.kind: garbage comes after messages",
		"boards: [{fault: {kind: split, bytes: off}}]":                            "boards[0].fault.bytes: must be at least 1",
		"boards: [{fault: {kind: storm, every: off}}]":                            "boards[0].fault.every: must be more than 0",
		"boards: [{fault: {kind: storm, every: 1s}, answers: [{type: 0x10000}]}]": "boards[0].answers[0].type: is 0x10000",
	} {
		s, err := config.ParseScenario("", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		_, err = New(Options{Scenario: s, MaxFrame: frame.DefaultMaxFrame})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s:\n%v\nwant %s", text, err, want)
		}
	}
	short := frame.Format{Head: "\xAA", Length: frame.Length{Offset: 1, Width: 1}, Type: frame.TypeField{Offset: 2, Width: 1}}
	for text, want := range map[string]string{
		"boards: [{id: x}]": "boards[0].id: is said in a hello, for whose type the frame has no room",
		"boards: [{id: off, send: [{type: 1, data: x}], fault: wrong_tail}]": "boards[0].fault.kind: wrong_tail: the frame has neither a tail nor a checksum",
		"boards: [{id: off, send: [{type: 256}]}]":                           "boards[0].send[0].type: is 0x0100, and the largest",
	} {
		s, err := config.ParseScenario("", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = New(Options{Scenario: s, Format: short, MaxFrame: 255}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// The ids of a file are those of the boards, in its order.
func TestIDsOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ids")
	if err := os.WriteFile(file, []byte("# of hall 1\nmeter-1 secret\n\nmeter-2\nmeter-3 other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.ParseScenario("", []byte("boards: [{count: 2, ids: "+file+"}]"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Scenario: s, MaxFrame: frame.DefaultMaxFrame})
	if err != nil {
		t.Fatal(err)
	}
	if b := f.boards; b[0].id != "meter-1" || b[0].token != "secret" || b[1].id != "meter-2" || b[1].token != "" {
		t.Errorf("%+v, %+v", b[0], b[1])
	}
}

// With the same seed boards say the same.
func TestSeed(t *testing.T) {
	said := func(seed int) (all []string) {
		s, err := config.ParseScenario("", fmt.Appendf(nil, `{seed: %d, boards: [{count: 3, send: [{type: 1, data: "{{.Rand 0 1000}} {{.Int 1 6}} {{.Count}} {{.N}}"}]}]}`, seed))
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(Options{Scenario: s, MaxFrame: frame.DefaultMaxFrame})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for _, b := range f.boards {
				data, err := b.message(0)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, string(data))
			}
		}
		return all
	}
	first := said(7)
	if !slices.Equal(first, said(7)) || slices.Equal(first, said(8)) || first[0] == first[1] {
		t.Error(first, said(7), said(8))
	}
}

// Groups grow together.
func TestInterleave(t *testing.T) {
	s, err := config.ParseScenario("", []byte("boards: [{name: a, count: 8}, {name: b, count: 2}, {name: c, first: 100, count: 4}]"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Scenario: s, MaxFrame: frame.DefaultMaxFrame})
	if err != nil {
		t.Fatal(err)
	}
	var order strings.Builder
	for i, b := range f.boards {
		if b.index != i {
			t.Errorf("board %d has index %d", i, b.index)
		}
		order.WriteString(b.g.conf.Name)
	}
	if got := order.String(); got != "aacaabcaacaabc" {
		t.Error(got)
	}
}

// The scenarios that are handed out can be run.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/sim/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := config.ParseScenario(file, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Scenario: s, MaxFrame: frame.DefaultMaxFrame}); err != nil {
			t.Error(err)
		}
	}
}

func FuzzTemplates(f *testing.F) {
	for _, text := range []string{`{"t":{{.Rand 18 24}}}`, `{{range $i := .ID}}{{end}}`, `{{.Int 5 1}}`, `{{printf "%s" .}}`, "{{", `{{.Rand .ID}}`, `{{define "a"}}{{template "a"}}{{end}}`} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, id, data string) {
		s := config.NewScenario()
		b := config.NewBoards()
		send := config.NewSend()
		b.ID, b.Count, send.Data, send.Type = id, 2, data, 1
		b.Send = []config.Send{send}
		s.Boards = []config.Boards{b}
		fleet, err := New(Options{Scenario: s, MaxFrame: 4096})
		if err != nil {
			return
		}
		for _, b := range fleet.boards {
			if data, err := b.message(0); err == nil && len(data) > 4096 {
				t.Errorf("%d bytes", len(data))
			}
		}
	})
}
