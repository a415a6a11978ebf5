package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/guess"
)

// suggest prints the formats that streams may have, each as the frame of a configuration
// and as a --frame, the likeliest first. It is an error when there are none.
func suggest(w io.Writer, streams [][]byte) error {
	found := guess.Formats(streams)
	if len(found) == 0 {
		if other := guess.Other(streams); other != "" {
			return fmt.Errorf("these bytes are %s, in which there are no frames to find", other)
		}
		return errors.New("there are no lengths in these bytes that lead from frame to frame; give more of them, or bytes that begin with a frame")
	}
	var text []byte
	for i, s := range found {
		if i > 0 {
			text = append(text, '\n')
		}
		text = fmt.Appendf(text, "# %d of %d: %s in %s, %s left over\n", i+1, len(found), number(s.Frames, "frame"), number(s.Covered, "byte"), number(s.Skipped, "byte"))
		for sentence := range strings.SplitSeq(s.Why, ". ") {
			text = fmt.Appendf(text, "# %s.\n", strings.TrimSuffix(sentence, "."))
		}
		settings := config.FrameSettings(s.Format)
		text = fmt.Appendf(text, "# --frame '{%s}'\nframe:\n", strings.Join(settings, ", "))
		for _, line := range settings {
			text = fmt.Appendf(text, "  %s\n", line)
		}
	}
	return write(w, text)
}
