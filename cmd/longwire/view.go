package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/show"
)

// viewFlags say how the frames look that a command finds in streams, which of them it shows, and how.
type viewFlags struct {
	frameFlags
	maxFrame  size
	types     []string
	direction word
	match     string
	asJSON    bool
	hex       bool
	full      bool
}

// view is what viewFlags say.
type view struct {
	codec    *frame.Codec
	maxFrame int
	printer  *show.Printer
	filter   show.Filter
	types    map[string]longwire.Type
}

var directions = []string{show.ToServer, show.ToBoard}

func (v *viewFlags) addFlags(cmd *cobra.Command) {
	v.maxFrame = frame.DefaultMaxFrame
	v.direction.choices = directions
	f := cmd.Flags()
	f.StringSliceVar(&v.types, "type", nil, "show only frames of these `types`: numbers as 16 or 0x10, or names of --config; several with commas")
	f.Var(&v.direction, "direction", "show only this direction: to-server or to-board")
	f.StringVar(&v.match, "match", "", "show only frames with this `text` in their data")
	f.BoolVar(&v.full, "full", false, "do not cut long data")
	f.BoolVar(&v.hex, "hex", false, "print all bytes of each frame too")
	f.BoolVar(&v.asJSON, "json", false, "print a line of JSON for each frame, and for whatever else there is to say")
	f.Var(&v.maxFrame, "max-frame", "largest frame, head to tail; what says that it is larger is none")
	completeWord(cmd, "direction", v.direction)
	v.frameFlags.addFlags(cmd)
}

// read returns what the flags say.
func (v *viewFlags) read(cmd *cobra.Command) (*view, error) {
	d, err := v.frameFlags.read()
	if err != nil {
		return nil, err
	}
	r := &view{maxFrame: d.maxFrame, types: make(map[string]longwire.Type)}
	if cmd.Flags().Changed("max-frame") {
		r.maxFrame = int(v.maxFrame)
	}
	if r.codec, err = frame.NewCodec(d.format); err != nil {
		return nil, err // frameFlags has tried that
	}
	if r.maxFrame < r.codec.Overhead() {
		return nil, usagef("--max-frame: %v is less than the smallest frame, which has %d bytes", v.maxFrame, r.codec.Overhead())
	}
	for t, name := range d.names {
		r.types[name] = t
	}
	r.filter = show.Filter{Direction: v.direction.chosen, Match: v.match}
	if r.filter.Types, err = r.readTypes("type", v.types); err != nil {
		return nil, err
	}
	r.printer = &show.Printer{JSON: v.asJSON, Hex: v.hex, Full: v.full, Names: d.names}
	return r, nil
}

// readTypes reads the types that a flag names.
func (r *view) readTypes(flag string, words []string) (types []longwire.Type, err error) {
	for _, w := range words {
		t, known := r.types[w]
		if !known {
			n, err := strconv.ParseUint(w, 0, 32)
			if err != nil {
				return nil, usagef("--%s: %q is no number of a type%s; write it as 16 or 0x10", flag, w, r.known())
			}
			t = longwire.Type(n)
		}
		if t > r.codec.MaxType() {
			return nil, usagef("--%s: %s is more than a frame can say, which is %v", flag, w, r.codec.MaxType())
		}
		types = append(types, t)
	}
	return types, nil
}

// known says which names types have.
func (r *view) known() string {
	if len(r.types) == 0 {
		return ", and names need --config"
	}
	var names []string
	for name := range r.types {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return " and none of the names in the configuration (" + strings.Join(names, ", ") + ")"
}
