package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	deep := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	for _, test := range []struct{ data, want string }{
		{`66666`, `{"type":"0x0010","data":66666}`},
		{` {"b": 1, "a": [1.0, 1e3]} `, `{"type":"0x0010","data":{"b":1,"a":[1.0,1e3]}}`},
		{`"<&>"`, `{"type":"0x0010","data":"<&>"}`},
		{``, `{"type":"0x0010","text":""}`},
		{`21.5 °C`, `{"type":"0x0010","text":"21.5 °C"}`},
		{"a\nb", `{"type":"0x0010","text":"a\nb"}`},
		{"\x1b[2J", `{"type":"0x0010","text":"\u001b[2J"}`},
		{"\u009b2J", `{"type":"0x0010","text":"\u009b2J"}`},
		{"\"\u009b2J\x7f\"", `{"type":"0x0010","data":"\u009b2J\u007f"}`},
		{"\U000e0001", `{"type":"0x0010","text":"\udb40\udc01"}`},
		{"\xc8\x00", `{"type":"0x0010","base64":"yAA="}`},
		{deep, `{"type":"0x0010","data":` + deep + `}`},
		{"[" + deep + "]", `{"type":"0x0010","text":"[` + deep + `]"}`},
		{"\"\xff\"", `{"type":"0x0010","base64":"Iv8i"}`}, // encoding/json takes that for JSON
	} {
		got, err := appendJSONLine(nil, newLine(16, []byte(test.data)))
		if string(got) != test.want+"\n" || err != nil {
			t.Errorf("%q: %s, want %s, %v", test.data, got, test.want, err)
		}
	}
}

// Whatever arrives, it is printed as one line that a terminal shows as it is, and
// nothing of it is lost.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{"66666", `{"a":"\u0000"}`, "a\nb", "\u009b2J", "\xff", "\"\x7f\u202e\"", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := appendJSONLine(nil, newLine(16, data))
		if err != nil {
			t.Fatal(err)
		}
		text, ended := strings.CutSuffix(string(out), "\n")
		if !ended || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is printed as %q", data, out)
		}
		var l line
		if err := json.Unmarshal(out, &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Text != nil:
			if *l.Text != string(data) {
				t.Errorf("%q became %q", data, *l.Text)
			}
		case l.Base64 != nil:
			if back, err := base64.StdEncoding.DecodeString(*l.Base64); string(back) != string(data) || err != nil {
				t.Errorf("%q became %q", data, back)
			}
		default:
			var before, after any
			if json.Unmarshal(data, &before) == nil && (json.Unmarshal(l.Data, &after) != nil || !same(before, after)) {
				t.Errorf("%q became %q", data, l.Data)
			}
		}
	})
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return string(x) == string(y) && errX == nil && errY == nil
}
