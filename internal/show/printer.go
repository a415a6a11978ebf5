package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/longwire/longwire/frame"
)

// A Place is where and when something was seen. What is not known is zero.
type Place struct {
	At       time.Time
	Conn     int  // number of the connection; 0 where there are none
	ToServer bool // direction in the connection
	Board    string
	Server   string
	Offset   int64 // in the stream
}

// Direction is the direction as a word.
func (p Place) Direction() string {
	switch {
	case p.Conn == 0:
		return ""
	case p.ToServer:
		return ToServer
	}
	return ToBoard
}

// The directions.
const (
	ToServer = "to-server"
	ToBoard  = "to-board"
)

// A Printer prints what was seen, a line each. It is not safe for concurrent use.
type Printer struct {
	Out   io.Writer
	JSON  bool // lines for programs
	Hex   bool // all bytes of a frame under its line
	Full  bool // long data is not cut
	Names map[frame.Type]string
}

// longwire's own types have names of their own.
var ownNames = map[frame.Type]string{0xFF00: "hello", 0xFF01: "ping", 0xFF02: "goaway"}

func (p *Printer) name(t frame.Type) string {
	if name := p.Names[t]; name != "" {
		return name
	}
	return ownNames[t]
}

// most is how many bytes of data a line for people shows, and mostHex how many of data that is
// no text.
const (
	most    = 160
	mostHex = 32
)

// jsonFrame is a frame as a line of JSON, in the words of the lines of "longwire listen".
type jsonFrame struct {
	jsonPlace
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	Size int    `json:"size"`
	Note string `json:"note,omitempty"`
	Content
	Bytes string `json:"bytes,omitempty"`
}

type jsonPlace struct {
	At         string `json:"at,omitempty"`
	Connection int    `json:"connection,omitempty"`
	Direction  string `json:"direction,omitempty"`
	Board      string `json:"board,omitempty"`
	Server     string `json:"server,omitempty"`
	Offset     int64  `json:"offset"`
}

func newJSONPlace(at Place) jsonPlace {
	l := jsonPlace{Connection: at.Conn, Direction: at.Direction(), Board: at.Board, Server: at.Server, Offset: at.Offset}
	if !at.At.IsZero() {
		l.At = at.At.Local().Format("2006-01-02T15:04:05.000000Z07:00")
	}
	return l
}

// Frame prints a frame. Raw are all its bytes, and note is what became of it, if that is special.
func (p *Printer) Frame(at Place, f frame.Frame, raw []byte, note string) error {
	if p.JSON {
		l := jsonFrame{jsonPlace: newJSONPlace(at), Type: f.Type.String(), Name: p.name(f.Type), Size: len(f.Data), Note: note, Content: NewContent(f.Data)}
		if p.Hex {
			l.Bytes = fmt.Sprintf("%x", raw)
		}
		return p.jsonLine(l)
	}
	line := append(place(at), f.Type.String()...)
	if name := p.name(f.Type); name != "" {
		line = append(append(line, ' '), Printable(name)...)
	}
	line = fmt.Appendf(line, "  %d B", len(f.Data))
	if note != "" {
		line = append(append(line, "  "...), note...)
	}
	if len(f.Data) > 0 {
		line = p.data(append(line, "  "...), f.Data)
	}
	line = append(line, '\n')
	if p.Hex {
		line = AppendDump(line, raw)
	}
	_, err := p.Out.Write(line)
	return err
}

// place returns the beginning of a line for people.
func place(at Place) (line []byte) {
	if !at.At.IsZero() {
		line = at.At.Local().AppendFormat(line, "15:04:05.000000  ")
	}
	switch {
	case at.Conn == 0:
		return fmt.Appendf(line, "@%d  ", at.Offset)
	case at.ToServer:
		line = append(line, "board→server "...)
	default:
		line = append(line, "server→board "...)
	}
	return append(append(line, at.Board...), "  "...)
}

// data appends the data of a frame for people, with the key and the status of an envelope before it.
func (p *Printer) data(line, data []byte) []byte {
	limit := most
	if p.Full {
		limit = len(data)*6 + 2 // of the longest that a byte becomes
	}
	if IsJSON(data) {
		if e, ok := readEnvelope(data); ok {
			line = e.appendTo(line)
			data = e.Data
		}
		if len(data) == 0 {
			return bytes.TrimRight(line, " ")
		}
		var b bytes.Buffer
		if err := json.Compact(&b, data); err == nil {
			data = b.Bytes()
		}
		return appendCut(line, AppendPrintable(nil, data[:min(len(data), 2*limit)]), limit, len(data) > 2*limit)
	}
	if utf8.Valid(data) {
		return appendCut(line, []byte(strconv.Quote(string(data[:min(len(data), 2*limit)]))), limit, len(data) > 2*limit)
	}
	shown := data
	if !p.Full {
		shown = data[:min(len(data), mostHex)]
	}
	line = fmt.Appendf(line, "% x", shown)
	if len(shown) < len(data) {
		line = append(line, " …"...)
	}
	return line
}

// appendCut appends at most limit bytes of text, whole characters of it.
func appendCut(line, text []byte, limit int, more bool) []byte {
	if len(text) > limit {
		text, more = text[:limit], true
		for len(text) > 0 {
			if r, n := utf8.DecodeLastRune(text); r != utf8.RuneError || n != 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	line = append(line, text...)
	if more {
		line = append(line, "…"...)
	}
	return line
}

// envelope is the JSON object in which questions and answers travel.
type envelope struct {
	DataType string          `json:"data_type"`
	Key      string          `json:"call_back_key"`
	Status   *string         `json:"status"`
	Message  string          `json:"message"`
	Data     json.RawMessage `json:"data"`
}

// readEnvelope reads data as an envelope; others are legal too.
func readEnvelope(data []byte) (e envelope, ok bool) {
	if !bytes.Contains(data, []byte(`"call_back_key"`)) || json.Unmarshal(data, &e) != nil {
		return e, false
	}
	return e, e.Key != "" || e.Status != nil
}

// appendTo appends what is to know of an envelope beside its data.
func (e *envelope) appendTo(line []byte) []byte {
	word := func(text string) {
		if len(text) > 64 {
			text = strings.ToValidUTF8(text[:64], "") + "…"
		}
		if text != "" {
			line = append(append(line, Printable(text)...), ' ')
		}
	}
	if e.Status == nil {
		line = append(line, "question "...)
	} else {
		line = append(line, "answer "...)
	}
	word(e.Key)
	word(e.DataType)
	if e.Status != nil {
		word(*e.Status)
		if e.Message != "ok" {
			word(e.Message)
		}
	}
	return append(line, ' ')
}

// jsonNote is what is said beside frames, as a line of JSON.
type jsonNote struct {
	jsonPlace
	Note    string `json:"note,omitempty"`
	Error   string `json:"error,omitempty"`
	Problem string `json:"problem,omitempty"`
	Skipped *int64 `json:"skipped,omitempty"`
	Missing int64  `json:"missing,omitempty"`
	Open    bool   `json:"open,omitempty"`
	Again   bool   `json:"again,omitempty"`
	Before  string `json:"before,omitempty"`
	Bytes   string `json:"bytes,omitempty"`
	Around  string `json:"around,omitempty"`
	From    *int64 `json:"around_offset,omitempty"`
}

// Note prints what becomes of a connection.
func (p *Printer) Note(at Place, text string) error {
	if p.JSON {
		return p.jsonLine(jsonNote{jsonPlace: newJSONPlace(at), Note: text})
	}
	_, err := p.Out.Write(fmt.Appendf(place(at), "-- %s\n", text))
	return err
}

// Problem prints what is wrong with bytes that are no frame.
func (p *Printer) Problem(at Place, e *Problem) error {
	at.Offset = e.Offset
	if p.JSON {
		l := jsonNote{jsonPlace: newJSONPlace(at), Error: e.Reason, Problem: e.Text, Missing: e.Missing, Open: e.Open, Again: e.Again,
			Before: fmt.Sprintf("%x", e.Before), Bytes: fmt.Sprintf("%x", e.Bytes), Around: fmt.Sprintf("%x", e.Around)}
		if e.Missing == 0 {
			l.Skipped = &e.Skipped
		}
		if e.Around != nil {
			l.From = &e.AroundAt
		}
		return p.jsonLine(l)
	}
	line := append(place(at), "!! "...)
	if e.Again {
		line = fmt.Appendf(line, "%s in no frame from offset %d on\n", plural(e.Skipped, "byte", "bytes"), e.Offset)
		_, err := p.Out.Write(line)
		return err
	}
	line = append(line, e.Text...)
	switch {
	case e.Open:
		line = fmt.Appendf(line, "; no frame in %s so far", plural(e.Skipped, "byte", "bytes"))
	case e.Skipped > 0:
		line = fmt.Appendf(line, "; %s in no frame", plural(e.Skipped, "byte", "bytes"))
	}
	line = append(line, '\n')
	if len(e.Bytes) > 0 {
		line = fmt.Appendf(line, "     at %d: ", e.Offset)
		if len(e.Before) > 0 {
			line = fmt.Appendf(line, "% x | ", e.Before)
		}
		line = fmt.Appendf(line, "% x", e.Bytes)
		if int64(len(e.Bytes)) < e.Skipped {
			line = append(line, " …"...)
		}
		line = append(line, '\n')
	}
	if len(e.Around) > 0 {
		line = fmt.Appendf(line, "     at %d: … % x …\n", e.AroundAt, e.Around)
	}
	_, err := p.Out.Write(line)
	return err
}

func (p *Printer) jsonLine(v any) error {
	line, err := AppendJSONLine(nil, v)
	if err != nil {
		return err
	}
	_, err = p.Out.Write(line)
	return err
}

// Printable returns text as it is when it cannot move the cursor of a terminal, or else
// quoted.
func Printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
