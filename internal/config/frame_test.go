package config_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
)

// TestFrameSettings checks that every format comes back as it was written down, both ways.
func TestFrameSettings(t *testing.T) {
	order := rapid.SampledFrom([]frame.Order{frame.BigEndian, frame.LittleEndian})
	fixed := rapid.SliceOfN(rapid.Byte(), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		f := frame.Format{Head: string(fixed.Draw(t, "head")), Tail: string(fixed.Draw(t, "tail")), Order: order.Draw(t, "order")}
		f.Length.Width = rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "length width")
		f.Length.Counts = frame.Counts(rapid.IntRange(0, int(frame.CountsData)).Draw(t, "counts"))
		f.Type.Width = rapid.SampledFrom([]int{0, 1, 2, 4}).Draw(t, "type width")
		f.Length.Offset = len(f.Head)
		switch {
		case f.Type.Width == 0:
		case rapid.Bool().Draw(t, "type first"):
			f.Type.Offset = len(f.Head)
			f.Length.Offset += f.Type.Width
		default:
			f.Type.Offset = len(f.Head) + f.Length.Width
		}
		if f.Checksum.Kind = frame.ChecksumKind(rapid.IntRange(0, int(frame.CRC32)).Draw(t, "checksum")); f.Checksum.Kind != frame.NoChecksum {
			f.Checksum.From = rapid.IntRange(0, len(f.Head)+f.Length.Width+f.Type.Width).Draw(t, "from")
			f.Checksum.Order = order.Draw(t, "checksum order")
		}
		lines := config.FrameSettings(f)
		for _, text := range []string{strings.Join(lines, "\n") + "\n", "{" + strings.Join(lines, ", ") + "}"} {
			got, err := config.ParseFrame(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if got.Format() != f {
				t.Fatalf("%s: got %+v, want %+v", text, got.Format(), f)
			}
		}
	})
}
