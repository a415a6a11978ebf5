package frame

import "fmt"

// A Format describes a frame, so that the frame is configuration. The zero
// Format is the default frame of the package documentation. Formats can be
// compared with ==.
//
// On the wire a frame is the head, then the length and the type field in either
// order, the data, the checksum if there is one, and the tail. Every byte before
// the data belongs to one of head, length and type.
type Format struct {
	// Head is 0 to 4 bytes that every frame starts with.
	Head string
	// Length says where the length stands and what it counts.
	Length Length
	// Type says where the type stands.
	Type TypeField
	// Order is the byte order of length and type.
	Order Order
	// Checksum stands between the data and the tail.
	Checksum Checksum
	// Tail is 0 to 4 bytes that every frame ends with.
	Tail string
}

// Length is the length field of a [Format].
type Length struct {
	Offset int    // bytes from the start of the frame
	Width  int    // 1, 2 or 4 bytes
	Counts Counts // what the number counts
}

// TypeField is the type field of a [Format]. Without one (Width 0, Offset 0)
// every frame has type 0.
type TypeField struct {
	Offset int // bytes from the start of the frame
	Width  int // 0, 1, 2 or 4 bytes
}

// Checksum is the optional checksum of a [Format].
type Checksum struct {
	// Kind is the algorithm; NoChecksum, the zero value, means there is none.
	Kind ChecksumKind
	// From is where the covered bytes start, counted from the start of the
	// frame, at most where the data starts: 0 covers the head too. They end
	// where the checksum stands.
	From int
	// Order is the byte order of the checksum itself, which often differs from
	// that of the other fields.
	Order Order
}

// Order is a byte order.
type Order uint8

const (
	BigEndian    Order = iota // most significant byte first, the network's order
	LittleEndian              // least significant byte first
)

// Counts is what the length of a frame counts.
type Counts uint8

const (
	CountsFrame Counts = iota // the whole frame, head to tail
	CountsRest                // everything that follows the length field, the tail included
	CountsData                // the data alone
)

// A Type is the type of a frame. Its width on the wire is the format's.
type Type uint32

// String returns the type in hexadecimal, as in 0x0010.
func (t Type) String() string { return fmt.Sprintf("0x%04x", uint32(t)) }

// defaultFormat is the frame of the package documentation, spelled out. The zero
// Format means the same.
var defaultFormat = Format{
	Head:   "\xC8",
	Length: Length{Offset: 1, Width: 4, Counts: CountsFrame},
	Type:   TypeField{Offset: 5, Width: 2},
	Tail:   "\xC9",
}

// A FormatError says why a [Format] cannot be used.
type FormatError struct {
	Field   string // the field at fault, as in "Length.Offset"
	Problem string // what is wrong with it, and what would be right
}

func (e *FormatError) Error() string { return "frame: format: " + e.Field + ": " + e.Problem }

// check returns the first reason why f cannot be decoded unambiguously.
func (f Format) check() error {
	bad := func(field, problem string, args ...any) error {
		return &FormatError{Field: field, Problem: fmt.Sprintf(problem, args...)}
	}
	switch {
	case len(f.Head) > 4:
		return bad("Head", "has %d bytes; it may have 0 to 4", len(f.Head))
	case len(f.Tail) > 4:
		return bad("Tail", "has %d bytes; it may have 0 to 4", len(f.Tail))
	case f.Order > LittleEndian:
		return bad("Order", "is %d; it must be BigEndian or LittleEndian", f.Order)
	case f.Length.Width != 1 && f.Length.Width != 2 && f.Length.Width != 4:
		return bad("Length.Width", "is %d; it must be 1, 2 or 4", f.Length.Width)
	case f.Length.Counts > CountsData:
		return bad("Length.Counts", "is %d; it must be CountsFrame, CountsRest or CountsData", f.Length.Counts)
	case f.Type.Width != 0 && f.Type.Width != 1 && f.Type.Width != 2 && f.Type.Width != 4:
		return bad("Type.Width", "is %d; it must be 0, 1, 2 or 4", f.Type.Width)
	case f.Type.Width == 0 && f.Type.Offset != 0:
		return bad("Type.Offset", "is %d, but Type.Width is 0: there is no type field to place", f.Type.Offset)
	}
	head, lengthEnd, typeEnd := len(f.Head), f.Length.Offset+f.Length.Width, f.Type.Offset+f.Type.Width
	lengthFirst := f.Length.Offset == head
	switch {
	case f.Length.Offset < head:
		return bad("Length.Offset", "is %d; the head takes the bytes before %d", f.Length.Offset, head)
	case f.Type.Width == 0 && !lengthFirst:
		return bad("Length.Offset", "is %d, which leaves bytes after the head that no field covers; it must be %d", f.Length.Offset, head)
	case f.Type.Width != 0 && f.Type.Offset < head:
		return bad("Type.Offset", "is %d; the head takes the bytes before %d", f.Type.Offset, head)
	case f.Type.Width != 0 && lengthFirst && f.Type.Offset != lengthEnd:
		return bad("Type.Offset", "is %d; after the length it must be %d, so that every byte before the data belongs to one field", f.Type.Offset, lengthEnd)
	case f.Type.Width != 0 && !lengthFirst && f.Type.Offset != head:
		return bad("Type.Offset", "is %d; before the length it must be %d, so that every byte before the data belongs to one field", f.Type.Offset, head)
	case f.Type.Width != 0 && !lengthFirst && f.Length.Offset != typeEnd:
		return bad("Length.Offset", "is %d; after the type it must be %d, so that every byte before the data belongs to one field", f.Length.Offset, typeEnd)
	}
	header := head + f.Length.Width + f.Type.Width
	switch {
	case f.Checksum.Kind > CRC32:
		return bad("Checksum.Kind", "is %d, which is no checksum of this package", f.Checksum.Kind)
	case f.Checksum.Order > LittleEndian:
		return bad("Checksum.Order", "is %d; it must be BigEndian or LittleEndian", f.Checksum.Order)
	case f.Checksum.Kind == NoChecksum && f.Checksum != Checksum{}:
		return bad("Checksum.Kind", "is NoChecksum, but Checksum.From or Checksum.Order is set")
	case f.Checksum.From < 0 || f.Checksum.From > header:
		return bad("Checksum.From", "is %d; it must be 0 to %d, where the data starts", f.Checksum.From, header)
	}
	return nil
}
