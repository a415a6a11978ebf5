package longwire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// An Envelope is the JSON object in which questions and answers travel:
//
//	{"data_type":"…","call_back_key":"…","data":…}                                 a question
//	{"data_type":"…","call_back_key":"…","status":"200","message":"ok","data":…}   its answer
//
// A question has a key and no status; its answer has the same key and a status,
// and travels in a frame of the same type. Data that is not such an object is
// legal too and passed on as it is.
//
// A handler that returns an Envelope answers with it, its key and, where they are
// empty, data type and status filled in. Ask sends an Envelope with a fresh key
// where it is empty, and fills in a *Envelope given for the answer.
type Envelope struct {
	DataType    string
	CallBackKey string
	Status      string // empty in a question
	Message     string // for people; answers only
	Data        any    // encoded as JSON; in an answer received, a json.RawMessage
}

// Raw is the data of a frame, without an envelope: a handler that returns one
// answers with it, and Push and AskByType send it as it is.
type Raw []byte

// Answer returns the envelope of the answer that r is, and false where r is no
// envelope or one that answers nothing: for those who ask by type, of boards that
// may answer with anything. Its Data is a [json.RawMessage] that refers to r.
func (r Raw) Answer() (e Envelope, ok bool) {
	m := Message{Data: r}
	if m.parts.scan(r); !m.parts.isAnswer() {
		return e, false
	}
	return m.envelope(), true
}

// appendTo appends the envelope as JSON: without a status as a question, with
// one as an answer.
func (e *Envelope) appendTo(b []byte) ([]byte, error) {
	b = appendString(append(b, `{"data_type":`...), e.DataType)
	b = appendString(append(b, `,"call_back_key":`...), e.CallBackKey)
	if e.Status != "" {
		b = appendString(append(b, `,"status":`...), e.Status)
		b = appendString(append(b, `,"message":`...), e.Message)
	}
	b, err := appendData(append(b, `,"data":`...), e.Data)
	return append(b, '}'), err
}

var errTooDeep = fmt.Errorf("more than %d arrays and objects inside one another", maxDepth-1)

// appendData appends v as the data of an envelope. It refuses data so deep that
// the other side would not take the envelope for one.
func appendData(b []byte, v any) ([]byte, error) {
	from := len(b)
	b, err := appendJSON(b, v)
	if err != nil {
		return b, err
	}
	if s := (scanner{b: b, i: from}); !s.value(1) {
		return b[:from], errTooDeep
	}
	return b, nil
}

// appendJSON appends v as JSON.
func appendJSON(b []byte, v any) ([]byte, error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// parts is where the fields of an envelope stand in a message's data. The zero
// parts are those of data that is no envelope. They are offsets rather than
// slices so that they stay true when the data is copied.
type parts struct {
	dataType, key, status, message, data span
}

// A span is data[from:to]; the zero span is a field that is absent. The spans of
// strings exclude the quotes.
type span struct{ from, to uint32 }

func (p *parts) isAnswer() bool   { return p.key != span{} && p.status != span{} }
func (p *parts) isQuestion() bool { return p.status == span{} && p.key.to > p.key.from }

// isNote reports whether it is an envelope that asks nothing.
func (p *parts) isNote() bool {
	return p.status == span{} && p.key != span{} && p.key.to == p.key.from && p.data != span{}
}

// in returns the bytes of the span, nil when the field is absent.
func (s span) in(data []byte) []byte {
	if s == (span{}) {
		return nil
	}
	return data[s.from:s.to:s.to]
}

// text returns the string that the span holds.
func (s span) text(data []byte) string {
	raw := s.in(data)
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	if unquoted, err := unquote(data[s.from-1 : s.to+1]); err == nil {
		return unquoted
	}
	return string(raw)
}

// unquote returns the text of a JSON string, which the scanner has validated.
func unquote(quoted []byte) (s string, err error) {
	err = json.Unmarshal(quoted, &s)
	return s, err
}

// scan finds the fields of an envelope in data. The parts, which are zero before, stay so
// when data is not one: not a JSON object, neither question nor answer nor note, nested
// deeper than maxDepth, or one of the five fields given twice, with another type
// than it should have, or under a name in other letters. What is ambiguous is
// never half understood.
//
// Data is no longer than a frame, so that 32 bits suffice for a span.
func (p *parts) scan(data []byte) {
	s := scanner{b: data}
	if !s.envelope(p) || !p.isAnswer() && !p.isQuestion() && !p.isNote() {
		*p = parts{}
	}
}

// mayBeEnvelope reports whether it is worth a scan.
func mayBeEnvelope(data []byte) bool { return len(data) > 0 && (data[0] == '{' || data[0] <= ' ') }

// statusOK reports whether a peer's status means success.
func statusOK(status string) bool {
	return len(status) == 3 && status[0] == '2' && isDigit(status[1]) && isDigit(status[2])
}
