package config_test

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

func mustParse(t *testing.T, text string, over ...config.Override) *config.Config {
	t.Helper()
	c, err := config.Parse("f.yaml", []byte(text), over...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantProblems checks which settings an error is about, and in which lines.
func wantProblems(t *testing.T, err error, want ...string) {
	t.Helper()
	problems, _ := errors.AsType[config.Problems](err)
	var got []string
	for _, p := range problems {
		where := p.From
		if where == "" {
			where = fmt.Sprintf("%s:%d", p.File, p.Line)
		}
		got = append(got, strings.TrimSpace(where+" "+p.Setting))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "---\n...\n", "\uFEFF"} {
		c := mustParse(t, text)
		if applied, restart := config.Changes(config.Default(), c); len(applied)+len(restart) > 0 {
			t.Errorf("%q changes %q %q", text, applied, restart)
		}
	}
	c := config.Default()
	if l := c.Listeners[0]; len(c.Listeners) != 1 || l.Name != "boards" || l.Address != "127.0.0.1:10302" || l.Login.Hello || l.AllowAnonymous {
		t.Errorf("%+v", c.Listeners)
	}
	if c.HTTP.Address != "127.0.0.1:10380" || c.Data != "./longwire-data" || c.Ack != config.AckAlways {
		t.Errorf("%+v", c)
	}
}

// All that is wrong is told at once, in the order of the lines, and what is wrong
// because of it is not.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := config.Parse("f.yaml", []byte(`# a comment
listeners:
  - name: a
    address: 0.0.0.0:1
    lgoin: {hello: true}
  - name: b
    address: 0.0.0.0:2
  - name: c
    address: 127.0.0.1:3
    frame:
      length: {width: 5}
http:
  address: 0.0.0.0:80
heartbeat: never
types:
  reading: 0xff02
ack: perhaps
`), config.Flag("log-level", "loud"))
	wantProblems(t, err, "--log-level log.level",
		"f.yaml:5 listeners[0].lgoin", "f.yaml:7 listeners[1].address", "f.yaml:11 listeners[2].frame.length.width",
		"f.yaml:13 http.address", "f.yaml:14 heartbeat", "f.yaml:16 types.reading", "f.yaml:17 ack")
}

func TestProblemsAreSoMany(t *testing.T) {
	_, err := config.Parse("f.yaml", []byte("x{}: 1\n"+"devices:\n  groups:\n    a: ["+strings.Repeat("'b c', ", 500)+"]\n"))
	problems, _ := errors.AsType[config.Problems](err)
	if len(problems) != 101 || !strings.HasPrefix(problems[100].Text, "and at least 401 more") {
		t.Errorf("%d problems, %v", len(problems), problems[len(problems)-1])
	}
}

func TestListener(t *testing.T) {
	c := mustParse(t, `
listeners:
  - name: crc
    address: 10.0.0.1:1
    policy: SINGLE
    allow_anonymous: true
    frame:
      head: "aa55"
      length: {width: 2, counts: data}
      type: {width: 1}
      order: little
      checksum: crc16_modbus
      tail: ""
    resync: 4KiB
    max_inbox: off
    max_outbox_frames: off
    soft_outbox: 1KiB
    limits: {connections: 10, waiting: off, strangers: 0, frame_rate: 5}
    times: {admit: 3s, ping: off}
  - name: type-first
    address: 127.0.0.1:2
    frame: {type: {offset: 1, width: 4}, checksum: {kind: crc32, from: 1, order: big}, order: little}
    tls: {cert_file: a, key_file: b, client_ca_file: c}
  - name: no-type
    address: 127.0.0.1:0
    frame: {head: "", type: {width: 0}, length: {width: 1, counts: rest}, tail: ""}
  - name: no-head
    address: 127.0.0.1:0
    frame: {head: "", checksum: {kind: sum8, from: 3}}
types: {a: {type: 0x20, overflow: latest}, b: {type: 0x21, overflow: drop_newest}, c: {type: 0x22, overflow: wait}}
`)
	wants := []longwire.Config{
		{
			Format: frame.Format{
				Head:     "\xAA\x55",
				Length:   frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData},
				Type:     frame.TypeField{Offset: 4, Width: 1},
				Order:    frame.LittleEndian,
				Checksum: frame.Checksum{Kind: frame.CRC16Modbus, Order: frame.LittleEndian},
			},
			MaxFrame: 65535 + 7, Resync: 4096, MaxInbox: -1, MaxOutbox: 1 << 20, MaxOutboxFrames: -1, SoftOutbox: 1024, SoftOutboxTime: time.Minute, MinRate: 16 << 10,
			Overflow:     map[longwire.Type]longwire.Overflow{0x20: longwire.OverflowLatest, 0x21: longwire.OverflowDropNewest},
			AdmitTimeout: 3 * time.Second, FrameTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, PingInterval: -1,
			Limits: longwire.Limits{Conns: 10, ConnsPerAddr: -1, Strangers: -1, Handshakes: 64, AcceptRate: -1, FrameRate: 5, ByteRate: -1, Questions: 1024, Handlers: -1, Waiting: -1},
		},
		{Format: frame.Format{
			Head:     "\xC8",
			Length:   frame.Length{Offset: 5, Width: 4},
			Type:     frame.TypeField{Offset: 1, Width: 4},
			Order:    frame.LittleEndian,
			Checksum: frame.Checksum{Kind: frame.CRC32, From: 1},
			Tail:     "\xC9",
		}},
		{Format: frame.Format{Length: frame.Length{Width: 1, Counts: frame.CountsRest}}},
		{Format: frame.Format{
			Length:   frame.Length{Width: 4},
			Type:     frame.TypeField{Offset: 4, Width: 2},
			Checksum: frame.Checksum{Kind: frame.Sum8, From: 3},
			Tail:     "\xC9",
		}},
	}
	for i, want := range wants {
		got, tls := c.Library(&c.Listeners[i])
		if i == 0 && !reflect.DeepEqual(*got, want) {
			t.Errorf("%d: %+v\nwant %+v", i, *got, want)
		}
		if got.Format != want.Format {
			t.Errorf("%d: %+v\nwant %+v", i, got.Format, want.Format)
		}
		if (tls != nil) != (i == 1) {
			t.Errorf("%d: %v", i, tls)
		}
		wantTaken(t, got)
	}
	if l := c.Listeners[0]; l.Policy != "single" || !l.AllowAnonymous {
		t.Errorf("%+v", l)
	}
	if in := c.Listeners[1].Login; in.Hello || !in.Certificate {
		t.Errorf("%+v", in)
	}
}

// Whatever the library lets its users set, the gateway's can.
func TestEveryFieldOfTheLibraryCanBeSet(t *testing.T) {
	c := mustParse(t, `
listeners:
  - resync: 1KiB
    soft_outbox: 1KiB
    limits: {connections: 1, waiting: 1MiB, unfinished: 1MiB, unsent: 1MiB}
types: {a: {type: 1, overflow: close}}
`)
	notSettings := []string{"Logger", "Portable", "PoisonData"}
	conf, _ := c.Library(&c.Listeners[0])
	for _, v := range []reflect.Value{reflect.ValueOf(*conf), reflect.ValueOf(conf.Limits)} {
		for _, field := range reflect.VisibleFields(v.Type()) {
			if v.FieldByIndex(field.Index).IsZero() != slices.Contains(notSettings, field.Name) {
				t.Errorf("%s.%s is %v", v.Type(), field.Name, v.FieldByIndex(field.Index))
			}
		}
	}
}

// wantTaken checks that the library takes a configuration.
func wantTaken(t *testing.T, conf *longwire.Config) {
	t.Helper()
	srv := &longwire.Server{Config: conf}
	defer srv.Close()
	if err := srv.Serve(closed{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%+v: %v", conf, err)
	}
}

// closed is a listener from which nobody comes.
type closed struct{}

func (closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closed) Close() error              { return nil }
func (closed) Addr() net.Addr            { return &net.TCPAddr{} }

func TestLoginDefaults(t *testing.T) {
	for text, want := range map[string][2]bool{ // hello, certificate
		"{}":                                                  {false, false},
		"login: {tokens: " + hashed + "}":                     {true, false},
		"login: {tokens_file: x}":                             {true, false},
		"login: {token_url: 'http://x/'}":                     {true, false},
		"login: {tokens: {}, token_url: off}":                 {false, false},
		"tls: {cert_file: a, key_file: b}":                    {false, false},
		"tls: {cert_file: a, key_file: b, client_ca_file: c}": {false, true},
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\n    login: {certificate: false}":                        {false, false},
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\n    login: {tokens_file: x}":                            {true, false},
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\n    login: {certificate: true, token_url: 'http://x/'}": {true, true},
		"frame: {type: {width: 1}}\n    login: {tokens_file: x, fleet: {type: 1, id: /id, token: /t}}":                {false, false},
	} {
		in := mustParse(t, "listeners:\n  - name: a\n    "+strings.TrimPrefix(text, "{}")).Listeners[0].Login
		if in.Hello != want[0] || in.Certificate != want[1] {
			t.Errorf("%s: %+v", text, in)
		}
	}
}

func TestTypes(t *testing.T) {
	c := mustParse(t, `
ack: asked
forward: {url: "http://a/"}
types:
  rom_reset_status: 0x10
  reading: {type: 0x20, ack: never, forward: "http://b/"}
  quiet:
    type: 33
    forward: off
`)
	want := map[string]config.Type{
		"rom_reset_status": {Type: 0x10, Ack: "asked", Overflow: config.Wait, Forward: "http://a/"},
		"reading":          {Type: 0x20, Ack: "never", Overflow: config.Wait, Forward: "http://b/"},
		"quiet":            {Type: 33, Ack: "asked", Overflow: config.Wait},
	}
	if !reflect.DeepEqual(c.Types, want) {
		t.Errorf("%+v", c.Types)
	}
	// A type that only one of the frames can say is no mistake.
	mustParse(t, "listeners: [{frame: {type: {width: 1}}}, {name: b, address: 'localhost:2', frame: {type: {width: 4}}}]\ntypes: {a: 0x10000}\n")
}

// Whole sections can be repeated by alias, and settings be quoted or not.
func TestAlias(t *testing.T) {
	c := mustParse(t, `
listeners:
  - name: a
    frame: &crc {checksum: "crc32"}
    limits: &few {connections: "7"}
  - {name: b, address: "localhost:2", frame: *crc, limits: *few}
`)
	if a, b := c.Listeners[0], c.Listeners[1]; a.Frame != b.Frame || a.Limits != b.Limits || b.Limits.Connections != 7 {
		t.Errorf("%+v\n%+v", a, b)
	}
	_, err := config.Parse("f.yaml", []byte("listeners:\n  - name: a\n    frame: &f {head: x}\n  - name: b\n    address: localhost:2\n    frame: *f\n"))
	wantProblems(t, err, "f.yaml:3 listeners[0].frame.head", "f.yaml:3 listeners[1].frame.head")
	_, err = config.Parse("f.yaml", []byte("devices: &d\n  groups: *d\n"))
	wantProblems(t, err, "f.yaml:2 devices.groups.groups")
}

// Aliases of aliases can make a small file say more than any memory holds.
func TestBomb(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n")
	for i := range 20 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	ids := "&ids [" + strings.TrimSuffix(strings.Repeat("x, ", 50_000), ", ") + "]"
	for name, text := range map[string]string{
		"laughs":  laughs.String(),
		"groups":  "devices:\n  groups:\n    g: " + ids + "\n" + times(50_000, "    g%d: *ids\n"),
		"tokens":  "http:\n  tokens: &t {" + times(1000, "a%d: "+hash+", ") + "}\nlisteners:\n" + times(1000, "  - {name: l%d, address: 'localhost:0', login: {tokens: *t}}\n"),
		"unknown": "http: &h {" + times(10_000, "x%d: 1, ") + "}\nlisteners: [" + strings.Repeat("*h, ", 10_000) + "]\n",
		"large":   "# " + strings.Repeat("x", 1<<20),
		"deep":    "a:\n " + strings.Repeat("{a: ", 100_000),
		"deeper":  strings.Repeat("- ", 500_000),
	} {
		begun := time.Now()
		_, err := config.Parse("f.yaml", []byte(text))
		if problems, ok := errors.AsType[config.Problems](err); !ok || len(problems) > 101 {
			t.Errorf("%s: %.200v", name, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// times repeats a format with 0 to n-1.
func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
