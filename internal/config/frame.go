package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/longwire/longwire/frame"
)

// A Frame says how a frame looks; see [frame.Format].
type Frame struct {
	Head     Hex      `yaml:"head" doc:"Bytes that every frame starts with, 0 to 4, in hexadecimal."`
	Length   Length   `yaml:"length" doc:"The length."`
	Type     TypeAt   `yaml:"type" doc:"The type."`
	Order    Order    `yaml:"order" doc:"Byte order of length and type: big or little."`
	Checksum Checksum `yaml:"checksum" short:"kind" doc:"A checksum between the data and the tail. Its kind alone may stand here."`
	Tail     Hex      `yaml:"tail" doc:"Bytes that every frame ends with, 0 to 4, in hexadecimal."`
}

// Length is where the length of a frame stands and what it counts.
type Length struct {
	Offset int    `yaml:"offset" default:"after the head" doc:"Where it stands, in bytes from the start of the frame."`
	Width  int    `yaml:"width" doc:"Its width: 1, 2 or 4 bytes."`
	Counts Counts `yaml:"counts" doc:"What it counts: frame (all of it), rest (what follows the length) or data."`
}

// TypeAt is where the type of a frame stands.
type TypeAt struct {
	Offset int `yaml:"offset" default:"after the length" doc:"Where it stands, in bytes from the start of the frame."`
	Width  int `yaml:"width" doc:"Its width: 0 (all frames have type 0), 1, 2 or 4 bytes."`
}

// Checksum is the checksum of a frame.
type Checksum struct {
	Kind  Kind  `yaml:"kind" doc:"How it is computed: none (there is none), sum8, xor8, crc16_modbus, crc16_ccitt_false or crc32."`
	From  int   `yaml:"from" doc:"Where the bytes start that it covers, in bytes from the start of the frame. They end where it stands."`
	Order Order `yaml:"order" default:"as order of the frame" doc:"Its byte order: big or little."`
}

func (f *Frame) setDefaults() {
	*f = Frame{
		Head:     "\xC8",
		Length:   Length{Offset: 1, Width: 4, Counts: CountsFrame},
		Type:     TypeAt{Offset: 5, Width: 2},
		Order:    BigEndian,
		Checksum: Checksum{Kind: NoChecksum, Order: BigEndian},
		Tail:     "\xC9",
	}
}

// complete computes what the file does not say, so that head, widths and order are all
// that most formats need.
func (f *Frame) complete(given func(setting string) bool) {
	head := len(f.Head)
	lengthAt, typeAt := given("length.offset"), given("type.offset")
	if !lengthAt {
		f.Length.Offset = head
		if typeAt && f.Type.Offset == head {
			f.Length.Offset += f.Type.Width
		}
	}
	if !typeAt {
		f.Type.Offset = head
		if f.Length.Offset == head {
			f.Type.Offset += f.Length.Width
		}
		if f.Type.Width == 0 {
			f.Type.Offset = 0
		}
	}
	if !given("checksum.order") && f.Checksum.Kind != NoChecksum {
		f.Checksum.Order = f.Order
	}
}

// Format returns the frame for the library.
func (f *Frame) Format() frame.Format {
	return frame.Format{
		Head:   string(f.Head),
		Length: frame.Length{Offset: f.Length.Offset, Width: f.Length.Width, Counts: frame.Counts(index(f.Length.Counts))},
		Type:   frame.TypeField{Offset: f.Type.Offset, Width: f.Type.Width},
		Order:  frame.Order(index(f.Order)),
		Checksum: frame.Checksum{
			Kind:  frame.ChecksumKind(index(f.Checksum.Kind)),
			From:  f.Checksum.From,
			Order: frame.Order(index(f.Checksum.Order)),
		},
		Tail: string(f.Tail),
	}
}

// Hex is a few bytes, which are hexadecimal in the file.
type Hex string

// Set decodes hexadecimal digits.
func (h *Hex) Set(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%.64q is not hexadecimal, two digits for each byte; write it as in c8", text)
	}
	*h = Hex(b)
	return nil
}

func (h Hex) String() string { return hex.EncodeToString([]byte(h)) }

// formatProblem returns which setting of a frame an error of frame.NewCodec is about,
// and what it says. The settings have the names of the fields.
func formatProblem(err error) (setting, problem string) {
	e, ok := errors.AsType[*frame.FormatError](err)
	switch {
	case !ok:
		return "", err.Error()
	case e.Field == "Checksum.Kind":
		return "checksum", "has from or order, and is none; choose a kind, or leave both out"
	}
	return strings.ToLower(e.Field), fieldName.ReplaceAllStringFunc(e.Problem, strings.ToLower)
}

var fieldName = regexp.MustCompile(`[A-Z][a-z]+\.[A-Z][a-z]+`)

// ParseFrame reads the settings of a frame alone, as in {head: aa55, length: {width: 2}},
// and checks that such frames can be told apart. The error is [Problems].
func ParseFrame(text string) (Frame, error) {
	d := &decoder{origins: make(map[string]origin)}
	var f Frame
	f.setDefaults()
	root, problem := parseYAML([]byte(text))
	if problem != nil {
		return Frame{}, Problems{problem}
	}
	if root != nil {
		d.decode(root, root.Line, reflect.ValueOf(&f).Elem(), "", setting{})
	}
	f.complete(func(setting string) bool {
		_, ok := d.origins[setting]
		return ok
	})
	if _, err := frame.NewCodec(f.Format()); err != nil && len(d.problems) == 0 {
		d.problemf(0, "", "%v", err)
		d.problems[0].Setting, d.problems[0].Text = formatProblem(err)
	}
	return f, d.problems.err()
}

// FrameSettings returns the settings under frame that make a format, each as it stands in a
// file, as in "length: {width: 2, counts: data}". ParseFrame reads them, one on each line or
// with commas between them in braces. What follows from the others is left out.
func FrameSettings(f frame.Format) []string {
	typ := fmt.Sprintf("{width: %d}", f.Type.Width)
	if f.Type.Width > 0 && f.Type.Offset < f.Length.Offset {
		typ = fmt.Sprintf("{offset: %d, width: %d}", f.Type.Offset, f.Type.Width)
	}
	order, kind := Order.words("")[f.Order], Kind.words("")[f.Checksum.Kind]
	sum := kind
	if f.Checksum.From != 0 || f.Checksum.Order != f.Order && f.Checksum.Kind != frame.NoChecksum {
		sum = fmt.Sprintf("{kind: %s, from: %d, order: %s}", kind, f.Checksum.From, Order.words("")[f.Checksum.Order])
	}
	return []string{
		"head: " + quoted(Hex(f.Head).String()),
		fmt.Sprintf("length: {width: %d, counts: %s}", f.Length.Width, Counts.words("")[f.Length.Counts]),
		"type: " + typ,
		"order: " + order,
		"checksum: " + sum,
		"tail: " + quoted(Hex(f.Tail).String()),
	}
}
