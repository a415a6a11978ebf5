package show

import (
	"bytes"
	"slices"

	"github.com/longwire/longwire/frame"
)

// A Filter says which frames are shown. What is zero lets all of them pass.
type Filter struct {
	Types     []frame.Type
	Direction string // ToServer or ToBoard
	Match     string // stands in the data
}

// Passes reports whether a frame is shown.
func (f *Filter) Passes(at Place, fr frame.Frame) bool {
	return (len(f.Types) == 0 || slices.Contains(f.Types, fr.Type)) && f.PassesDirection(at) &&
		(f.Match == "" || bytes.Contains(fr.Data, []byte(f.Match)))
}

// PassesDirection reports whether anything of that direction is shown.
func (f *Filter) PassesDirection(at Place) bool {
	return f.Direction == "" || at.Conn == 0 || f.Direction == at.Direction()
}
