package longwire_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/longwire/longwire"
)

// TestProtocolDocument holds the conversations of PROTOCOL.md, byte for byte.
func TestProtocolDocument(t *testing.T) {
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	mux := new(longwire.Mux)
	mux.Register(0x10, ok)
	talks := 0
	for block := range strings.SplitSeq(string(doc), "```wire\n") {
		talk, _, found := strings.Cut(block, "```\n")
		if talks++; talks == 1 || !found {
			continue
		}
		p := serve(t, tcp(), &longwire.Server{Handler: mux}).peer()
		for line := range strings.Lines(talk) {
			dir, want := line[:2], protocolBytes(t, line[2:])
			if dir == "->" {
				p.send(want)
				continue
			}
			f, err := p.r.Next()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if got := wire(f.Type, string(f.Data)); !bytes.Equal(got, want) {
				t.Errorf("the document says\n% X\nthe server sends\n% X", want, got)
			}
		}
		p.closeWrite()
		p.wantEnd()
	}
	if talks < 4 {
		t.Errorf("%d conversations found in the document", talks-1)
	}
}

// protocolBytes reads hexadecimal digits and text in braces.
func protocolBytes(t *testing.T, s string) (b []byte) {
	t.Helper()
	before, rest, found := strings.Cut(s, "{")
	text, after, _ := strings.Cut(rest, "} ")
	for i, part := range []string{before, after} {
		digits, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if b = append(b, digits...); found && i == 0 {
			b = append(append(append(b, '{'), text...), '}')
		}
	}
	return b
}

// TestReadmeExamples sees to it that the Go code of the README is code that
// compiles: every block stands in the examples, line by line.
func TestReadmeExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	trim := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
		return b.String()
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("%d blocks of Go in the README", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(trim(string(examples)), trim(code)) {
			t.Errorf("this code of the README is not in example_test.go:\n%s", code)
		}
	}
}
