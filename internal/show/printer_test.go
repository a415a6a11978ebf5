package show_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/show"
)

var at = show.Place{At: time.Date(2026, 11, 22, 20, 15, 3, 123456000, time.Local), Conn: 1, ToServer: true, Board: "10.0.0.5:1", Server: "10.0.0.7:2"}

func TestPrinterFrame(t *testing.T) {
	const begin = "20:15:03.123456  board→server 10.0.0.5:1  "
	long := strings.Repeat("é", 100)
	tests := []struct {
		name    string
		printer show.Printer
		typ     frame.Type
		data    string
		want    string
	}{
		{"JSON", show.Printer{}, 0x10, " {\"a\": \"<b>\"}\n", "0x0010  14 B  {\"a\":\"<b>\"}"},
		{"a name", show.Printer{Names: map[frame.Type]string{0x10: "rom_status"}}, 0x10, "1", "0x0010 rom_status  1 B  1"},
		{"one of ours", show.Printer{}, 0xFF01, "", "0xff01 ping  0 B"},
		{"text", show.Printer{}, 1, "on\x1b[2J", `0x0001  6 B  "on\x1b[2J"`},
		{"bytes", show.Printer{}, 1, "\xff\x00", "0x0001  2 B  ff 00"},
		{"long bytes", show.Printer{}, 1, "\xff" + strings.Repeat("\x00", 40), "0x0001  41 B  ff" + strings.Repeat(" 00", 31) + " …"},
		{"all of long bytes", show.Printer{Full: true}, 1, "\xff" + strings.Repeat("\x00", 40), "0x0001  41 B  ff" + strings.Repeat(" 00", 40)},
		{"long text", show.Printer{}, 1, "x" + long, `0x0001  201 B  "x` + strings.Repeat("é", 79) + "…"},
		{"all of a long text", show.Printer{Full: true}, 1, "x" + long, `0x0001  201 B  "x` + long + `"`},
		{"escapes in JSON", show.Printer{}, 1, "\"\u202e\\n\u009b\"", `0x0001  9 B  "\u202e\n\u009b"`},
		{"a question", show.Printer{}, 1, `{"data_type":"rom","call_back_key":"7f3a","data":{"a":1}}`, `0x0001  57 B  question 7f3a rom  {"a":1}`},
		{"an answer", show.Printer{}, 1, `{"call_back_key":"7f3a","status":"404","message":"no such\nrom","data":null}`, `0x0001  76 B  answer 7f3a 404 "no such\nrom"  null`},
		{"a hostile key", show.Printer{}, 1, `{"call_back_key":"\u001b[2J"}`, `0x0001  29 B  question "\x1b[2J"`},
		{"hex", show.Printer{Hex: true}, 1, "a", "0x0001  1 B  \"a\"\n     000000  72 61 77" + strings.Repeat(" ", 42) + "|raw|"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			test.printer.Out = &out
			if err := test.printer.Frame(at, frame.Frame{Type: test.typ, Data: []byte(test.data)}, []byte("raw"), ""); err != nil {
				t.Fatal(err)
			}
			if want := begin + test.want + "\n"; out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

// A frame, a note and a problem are an object each, with all that is known of where it was.
func TestPrinterJSON(t *testing.T) {
	var out bytes.Buffer
	p := show.Printer{Out: &out, JSON: true, Hex: true, Names: map[frame.Type]string{0x10: "rom"}}
	p.Frame(at, frame.Frame{Type: 0x10, Data: []byte(`{"a": 1}`)}, []byte{0xC8}, "dropped")
	p.Note(at, "ended")
	p.Problem(show.Place{}, &show.Problem{Reason: "bad_tail", Text: "wrong", Offset: 7, Skipped: 3, Bytes: []byte{1}})
	local := at.At.Format("2006-01-02T15:04:05.000000Z07:00")
	where := `{"at":"` + local + `","connection":1,"direction":"to-server","board":"10.0.0.5:1","server":"10.0.0.7:2","offset":0,`
	want := where + `"type":"0x0010","name":"rom","size":8,"note":"dropped","data":{"a":1},"bytes":"c8"}` + "\n" +
		where + `"note":"ended"}` + "\n" +
		`{"offset":7,"error":"bad_tail","problem":"wrong","skipped":3,"bytes":"01"}` + "\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// Whatever is in a frame, it is one printable line, and JSON where that is asked for.
func FuzzPrinter(f *testing.F) {
	f.Add([]byte(`{"call_back_key":"a","status":"200","data":"\u202e"}`))
	f.Add([]byte("\x1b]0;title\x07"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, p := range []show.Printer{{}, {Full: true}, {JSON: true}} {
			var out bytes.Buffer
			p.Out = &out
			p.Frame(at, frame.Frame{Type: 1, Data: data}, data, "")
			line, whole := strings.CutSuffix(out.String(), "\n")
			if !whole || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", line)
			}
			if p.JSON && !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %q", line)
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"meter-7":          "meter-7",
		"東京 Zürich":        "東京 Zürich",
		`say "hi" \ there`: `say "hi" \ there`,
		"\x1b[2J":          `"\x1b[2J"`,
		"a\nb":             `"a\nb"`,
		"a\tb":             `"a\tb"`,
		"\u009b31m":        `"\u009b31m"`,
		"\u202egnp.exe":    `"\u202egnp.exe"`,
		"\u2028":           `"\u2028"`,
		"\xff":             `"\xff"`,
		"a\uFFFDb":         `"a` + "\uFFFD" + `b"`,
	} {
		if got := show.Printable(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
