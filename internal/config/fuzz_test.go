package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

// What Parse takes means the same when it is printed and read again, and what it does
// not take it says in one line for each problem.
func FuzzParse(f *testing.F) {
	for _, b := range broken {
		f.Add([]byte(b.yaml))
	}
	f.Add(config.Documented())
	f.Add([]byte(uncommented(string(config.Documented()))))
	examples, err := filepath.Glob("../../examples/config/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range examples {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f.yaml", data)
		if err != nil {
			problems, ok := errors.AsType[config.Problems](err)
			if !ok {
				t.Fatalf("%T: %v", err, err)
			}
			for _, p := range problems {
				if strings.ContainsAny(p.Error(), "\n\r\x1b") || p.Line < 0 || p.Text == "" {
					t.Errorf("%q", p.Error())
				}
			}
			return
		}
		for i := range c.Listeners {
			if _, err := frame.NewCodec(c.Listeners[i].Frame.Format()); err != nil {
				t.Error(err)
			}
		}
		printed := c.Reveal()
		again, err := config.Parse("printed.yaml", printed)
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if applied, restart := config.Changes(c, again); len(applied)+len(restart) > 0 {
			t.Errorf("%q %q are not what they were\n%s", applied, restart, printed)
		}
	})
}

// uncommented takes the samples of a documented configuration out of their comments.
func uncommented(text string) string {
	names := map[string]bool{"reading": true}
	config.EachSetting(func(path, _, _, _ string, _, _ bool) { names[path[strings.LastIndexByte(path, '.')+1:]] = true })
	var b strings.Builder
	for line := range strings.Lines(text) {
		content := strings.TrimLeft(line, " ")
		if sample, ok := strings.CutPrefix(content, "# "); ok {
			if name, _, ok := strings.Cut(strings.TrimLeft(sample, " "), ":"); ok && names[name] {
				line = line[:len(line)-len(content)] + sample
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// A frame by itself is read as that of a listener is.
func FuzzParseFrame(f *testing.F) {
	for _, text := range []string{
		"", "{}", "{head: aa55, length: {width: 2, counts: data}, type: {width: 1}, order: little, checksum: crc16_modbus, tail: ''}",
		"{type: {offset: 1}}", "{length: {width: 3}}", "{head:", "head", "[1]", "{head: aa, head: bb}", "{checksum: {from: 2}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		alone, err := config.ParseFrame(text)
		whole, wholeErr := config.Parse("", []byte("listeners: [{frame: "+text+"}]"))
		if strings.ContainsAny(text, "#%&*\n\r") || strings.TrimSpace(text) == "" || strings.HasPrefix(strings.TrimSpace(text), "-") {
			return // means something else in the middle of a file
		}
		if (err == nil) && wholeErr == nil && alone.Format() != whole.Listeners[0].Frame.Format() {
			t.Errorf("%q: %+v, and %+v as that of a listener", text, alone.Format(), whole.Listeners[0].Frame.Format())
		}
		if err == nil {
			if _, err := frame.NewCodec(alone.Format()); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
