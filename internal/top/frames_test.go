package top

import (
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/longwire/longwire/internal/gateway"
)

// Whatever a board sends stays on its lines, and nothing in it reaches the terminal but text.
func FuzzFrameLines(f *testing.F) {
	for _, data := range []string{"", `{"call_back_key":"1","status":"200","data":{"town":"東京"}}`, "\x1b[2J\x9b31m", "\u202eab", "🇩🇪👍🏽⚠\ufe0f", "\x00\xff", "a\nb\rc\td"} {
		f.Add([]byte(data), "reading", 80, true, false)
		f.Add([]byte(data), "\x1b[1m", 40, false, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, name string, columns int, wrap, hex bool) {
		m := &model{width: int(uint(columns)%300) + 1, height: 24, wrap: wrap, hex: hex, questions: make(map[string]time.Time)}
		m.show(m.answering(gateway.Frame{Direction: gateway.In, TypeName: name, Data: data, Size: len(data) + 1}))
		m.page = tracePage
		lines := 0
		for _, line := range append(m.frameLines(&m.frames[0]), m.traceLines(20)...) {
			lines++
			for _, r := range ansi.Strip(line) {
				if !unicode.IsPrint(r) {
					t.Fatalf("%q of %q", line, data)
				}
			}
		}
		if lines == 0 {
			t.Error("nothing is shown")
		}
	})
}

// Rates are of most of an interval at least, and not of a gateway that counts anew.
func TestMeasure(t *testing.T) {
	m := &model{conf: Config{Interval: time.Second}}
	at := time.Now()
	for _, step := range []struct {
		after  time.Duration
		frames int64
		want   float64 // -1 for none
	}{
		{0, 100, -1}, {time.Second, 110, 10}, {1100 * time.Millisecond, 210, 10}, {3 * time.Second, 310, 100}, {4 * time.Second, 5, -1}, {5 * time.Second, 6, 1},
	} {
		l := look{at: at.Add(step.after), window: window{page: boardsPage}, boards: []gateway.Device{{ID: "a", FramesIn: step.frames}}}
		m.measure(&l)
		got, ok := m.rates["a"]
		if ok != (step.want >= 0) || ok && got.in != step.want {
			t.Errorf("after %v: %v, %v, want %v", step.after, got.in, ok, step.want)
		}
	}
}
