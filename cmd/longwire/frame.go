package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/show"
)

// frameFlags say how frames look, for commands that have no configuration of their own.
type frameFlags struct{ text, file, listener string }

// described is what there is to know about frames beforehand.
type described struct {
	format   frame.Format
	maxFrame int // head to tail
	names    map[longwire.Type]string
}

func (f *frameFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.text, "frame", "", "how a frame looks, in the `words` of the configuration; without it | c8 | length | type | data | c9 |")
	flags.StringVar(&f.file, "config", "", "`file` with the configuration of a gateway, for its frame and the names of its types")
	flags.StringVar(&f.listener, "listener", "", "`name` of the listener there whose frame it is; without it the first one")
	fallBack(cmd, "config")
}

// read returns what the flags say.
func (f *frameFlags) read() (described, error) {
	d := described{maxFrame: frame.DefaultMaxFrame, names: make(map[longwire.Type]string)}
	if f.listener != "" && f.file == "" {
		return d, usagef("--listener: is one of a configuration; give that too, with --config")
	}
	if f.file != "" {
		if err := f.readConfig(&d); err != nil {
			return d, err
		}
	}
	if f.text != "" {
		look, err := config.ParseFrame(f.text)
		if err != nil {
			return d, usagef("--frame: %v", firstProblem(err))
		}
		d.format = look.Format()
		codec, err := frame.NewCodec(d.format)
		if err != nil {
			return d, err // ParseFrame has tried that
		}
		d.maxFrame = min(frame.DefaultMaxFrame, codec.MaxSize())
	}
	return d, nil
}

// readConfig reads what a configuration says. The files that it names may be elsewhere.
func (f *frameFlags) readConfig(d *described) error {
	text, err := os.ReadFile(f.file)
	if err != nil {
		return usagef("--config: cannot read %s: %v", show.Printable(f.file), innermost(err))
	}
	c, err := config.Parse(f.file, text)
	if err != nil {
		return usagef("--config: %v", firstProblem(err))
	}
	i := 0
	if f.listener != "" {
		i = slices.IndexFunc(c.Listeners, func(l config.Listener) bool { return l.Name == f.listener })
	}
	if i < 0 {
		return usagef("--listener: %s has no listener %s", show.Printable(f.file), show.Printable(f.listener))
	}
	look, _ := c.Library(&c.Listeners[i])
	d.format, d.maxFrame = look.Format, look.MaxFrame
	if d.maxFrame < 0 { // as much as its length can say
		codec, err := frame.NewCodec(d.format)
		if err != nil {
			return err // Parse has tried that
		}
		d.maxFrame = codec.MaxSize()
	}
	for name, t := range c.Types {
		d.names[t.Type] = name
	}
	return nil
}

// firstProblem returns the first of several problems, with how many there are.
func firstProblem(err error) string {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return err.Error()
	}
	text := problems[0].Error()
	if more := len(problems) - 1; more > 0 {
		text = strings.TrimSuffix(text, ".") + ", and " + number(more, "more problem")
	}
	return text
}
