package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

// TestSuggest checks that what is printed can be pasted: as a --frame, and into a file.
func TestSuggest(t *testing.T) {
	look, err := config.ParseFrame("{head: aa55, length: {width: 2, counts: data}, type: {width: 1}, order: little, checksum: crc16_modbus, tail: \"\"}")
	if err != nil {
		t.Fatal(err)
	}
	codec, err := frame.NewCodec(look.Format())
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for i := range 20 {
		b, _ = codec.Append(b, frame.Type(0x20+i%3), fmt.Appendf(nil, `{"dev":"meter-%d","kwh":%d.5}`, i%4, i*i))
	}
	var out bytes.Buffer
	if err := suggest(&out, [][]byte{b}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), fmt.Sprintf("# 1 of 1: 20 frames in %d bytes, 0 bytes left over\n", len(b))) {
		t.Errorf("it begins with %q", out.String())
	}
	inline := regexp.MustCompile(`(?m)^# --frame '(.*)'$`).FindStringSubmatch(out.String())
	if inline == nil {
		t.Fatalf("no --frame in %s", &out)
	}
	if got, err := config.ParseFrame(inline[1]); err != nil || got.Format() != look.Format() {
		t.Errorf("--frame is %+v, %v", got, err)
	}
	file := "listeners:\n  - " + strings.ReplaceAll(out.String(), "\n", "\n    ")
	if c, err := config.Parse("test.yaml", []byte(file)); err != nil || c.Listeners[0].Frame.Format() != look.Format() {
		t.Errorf("%s\nis %v", file, err)
	}
	for want, stream := range map[string]string{"text": "hello\n", "no lengths": "\x00\x01"} {
		if err := suggest(&out, [][]byte{[]byte(stream)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", stream, err)
		}
	}
}
