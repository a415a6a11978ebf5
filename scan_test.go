package longwire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// knownNames are the five fields.
var knownNames = []string{"data", "data_type", "call_back_key", "status", "message"}

// A reading is what somebody understands of data. The zero reading is plain data.
type reading struct {
	kind     string // "question" or "answer"
	dataType string
	key      string
	status   string
	message  string
	data     string // as it stands there
}

func partsOf(data []byte) (p parts) {
	p.scan(data)
	return p
}

// scanned is the reading of the scanner.
func scanned(data []byte) reading {
	p := partsOf(data)
	r := reading{
		dataType: p.dataType.text(data),
		key:      p.key.text(data),
		status:   p.status.text(data),
		message:  p.message.text(data),
		data:     string(p.data.in(data)),
	}
	switch {
	case p.isAnswer() && p.isQuestion():
		r.kind = "both"
	case p.isAnswer():
		r.kind = "answer"
	case p.isQuestion():
		r.kind = "question"
	case p.isNote():
		r.kind = "note"
	}
	return r
}

// reference is the reading that the rules ask for, slow and plain.
func reference(data []byte) reading {
	if !json.Valid(data) {
		return reading{}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return reading{}
	}
	values := make(map[string]string)
	for dec.More() {
		from := dec.InputOffset()
		t, _ := dec.Token()
		written := string(bytes.Trim(data[from:dec.InputOffset()], ", \t\r\n"))
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil || depth(value) > maxDepth-1 {
			return reading{}
		}
		i := slices.IndexFunc(knownNames, func(known string) bool { return strings.EqualFold(t.(string), known) })
		if i < 0 {
			continue
		}
		name := knownNames[i]
		if _, twice := values[name]; twice || written != `"`+name+`"` {
			return reading{}
		}
		if name != "data" && (value[0] != '"' || !utf8.Valid(value)) {
			return reading{}
		}
		values[name] = string(value)
	}
	text := func(name string) (s string) {
		json.Unmarshal([]byte(values[name]), &s)
		return s
	}
	r := reading{
		dataType: text("data_type"),
		key:      text("call_back_key"),
		status:   text("status"),
		message:  text("message"),
		data:     values["data"],
	}
	switch {
	case values["status"] != "" && values["call_back_key"] != "":
		r.kind = "answer"
	case values["status"] == "" && r.key != "":
		r.kind = "question"
	case values["status"] == "" && values["call_back_key"] != "" && values["data"] != "":
		r.kind = "note"
	default:
		return reading{}
	}
	return r
}

// depth returns how many arrays and objects stand inside one another.
func depth(value []byte) (deepest int) {
	dec := json.NewDecoder(bytes.NewReader(value))
	now := 0
	for t, err := dec.Token(); err == nil; t, err = dec.Token() {
		switch t {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
	return deepest
}

// wantAgreement checks the scanner against the reference, and what it accepts
// against the most lenient reader there is: encoding/json ignores case and takes
// the last of several fields.
func wantAgreement(t rapid.TB, data []byte) {
	t.Helper()
	got, want := scanned(data), reference(data)
	if got != want {
		t.Fatalf("%q:\n got %+v\nwant %+v", data, got, want)
	}
	if got.kind == "" {
		return
	}
	var lenient struct {
		DataType string          `json:"data_type"`
		Key      string          `json:"call_back_key"`
		Status   string          `json:"status"`
		Message  string          `json:"message"`
		Data     json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(data, &lenient); err != nil {
		t.Fatalf("%q was accepted: %v", data, err)
	}
	l := reading{got.kind, lenient.DataType, lenient.Key, lenient.Status, lenient.Message, string(lenient.Data)}
	if l != got {
		t.Fatalf("%q:\n       got %+v\na lenient %+v", data, got, l)
	}
}

func FuzzScanEnvelope(f *testing.F) {
	for _, data := range [][]byte{question200, answer200, []byte("66666"), []byte(`{"call_back_key":"\ud800\u0000"}`)} {
		f.Add(data)
	}
	for _, test := range scanTests {
		f.Add([]byte(test.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		wantAgreement(t, data)
		wantAnswerFits(t, data)
	})
}

// wantAnswerFits checks that the answer to data is an answer with the key and the
// data type of data, byte for byte.
func wantAnswerFits(t rapid.TB, data []byte) {
	t.Helper()
	m := &Message{Data: data, parts: partsOf(data)}
	answer, err := m.appendAnswer(nil, &Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	p := partsOf(answer)
	if !p.isAnswer() || !json.Valid(answer) {
		t.Fatalf("%q is answered by %q, which is no answer", data, answer)
	}
	if key := p.key.in(answer); !bytes.Equal(key, m.parts.key.in(data)) {
		t.Errorf("key %q is answered by key %q", m.parts.key.in(data), key)
	}
	if dataType := p.dataType.in(answer); !bytes.Equal(dataType, m.parts.dataType.in(data)) {
		t.Errorf("data type %q is answered by data type %q", m.parts.dataType.in(data), dataType)
	}
}

func TestScanEnvelopeOfEveryPrefix(t *testing.T) {
	for _, data := range [][]byte{question200, answer200} {
		for n := range data {
			if p := partsOf(data[:n:n]); p != (parts{}) {
				t.Errorf("%s: an envelope, though it is cut short", data[:n])
			}
		}
		wantAgreement(t, data)
	}
}

// Every byte of an envelope is replaced by, and preceded by, every byte that means
// something in JSON.
func TestScanEnvelopeWithOneByteWrong(t *testing.T) {
	data := []byte(`{"data_type":"é","call_back_key":"\u00e9\n","status" : "2","message":"","data":[-0.5e+7,{"a":true},null]}`)
	for i := range data {
		for _, c := range []byte("{}[]:,\"\\/ \t\n\r019-+.eEunaSK\x00\x1f\x7f\x80\xc3\xff") {
			wrong := slices.Clone(data)
			wrong[i] = c
			wantAgreement(t, wrong)
			wantAgreement(t, slices.Insert(slices.Clone(data), i, c))
		}
	}
}

// Pieces of envelopes, put together at random.
func TestScanEnvelopeAgreesWithTheReference(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom(knownNames), rapid.SampledFrom([]string{
		"", "a", "Data", "STATUS", "ſtatus", "call_bac\u212a_key", `\u0064ata`, `m\u0045ssage`, `\u017ftatus`, `st\u0061tu`,
		`call_back_\u212aey`, `call_back_keys`, `dat\\u0061`, `\\`, `\"`, `\ud83d\ude00`, "\xff", "data\x00", `data\u0000`,
	}))
	text := rapid.SampledFrom([]string{``, `k`, `200`, `\n`, `\u0000`, `\ud800`, `\ud83d\ude00`, `\ude00\ud83d`, `é`, "\xff", `\`, `\u12`, "\x01", `"`, "\x7f"})
	scalar := rapid.SampledFrom([]string{"0", "-0", "-", "01", "1.", ".5", "1e400", "1E+", "9007199254740993", "true", "nul", "null", "false", "NaN", ""})
	space := rapid.SampledFrom([]string{"", "", "", " ", "\t\r\n", "\v", "\u00a0"})
	var value func(t *rapid.T) string
	value = func(t *rapid.T) string {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return scalar.Draw(t, "scalar")
		case 1:
			return space.Draw(t, "space") + "[" + value(t) + "," + value(t) + "]"
		case 2:
			return `{"` + text.Draw(t, "inner name") + `":` + value(t) + space.Draw(t, "space") + "}"
		case 3:
			n := rapid.IntRange(maxDepth-3, maxDepth+1).Draw(t, "depth")
			return strings.Repeat("[", n) + strings.Repeat("]", n)
		default:
			return `"` + text.Draw(t, "text") + `"`
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString(space.Draw(t, "space") + "{")
		for i := range rapid.IntRange(0, 6).Draw(t, "fields") {
			if i > 0 {
				b.WriteString("," + space.Draw(t, "space"))
			}
			fmt.Fprintf(&b, `"%s"%s:%s%s`, name.Draw(t, "name"), space.Draw(t, "space"), space.Draw(t, "space"), value(t))
		}
		b.WriteString("}" + space.Draw(t, "space"))
		wantAgreement(t, []byte(b.String()))
		wantAnswerFits(t, []byte(b.String()))
	})
}

// hostile are data that cost parsers dear, n bytes of each.
func hostile(n int) map[string][]byte {
	fill := func(head, repeated, tail string) []byte {
		return []byte(head + strings.Repeat(repeated, (n-len(head)-len(tail))/len(repeated)) + tail)
	}
	return map[string][]byte{
		"arrays":             fill("", "[", ""),
		"objects":            fill("", `{"a":`, ""),
		"arrays in data":     fill(`{"data":`, "[", ""),
		"flat arrays":        fill(`{"call_back_key":"k","data":[`, "[],", "0]}"),
		"escaped quotes":     fill(`{"call_back_key":"k","data":"`, `\"`, `"}`),
		"long key":           fill(`{"call_back_key":"`, "é", `"}`),
		"long name":          fill(`{"`, `\u0064`, `":0,"call_back_key":"k"}`),
		"fields":             fill(`{`, `"a":0,`, `"call_back_key":"k"}`),
		"fields, escaped":    fill(`{`, `"\n":0,`, `"call_back_key":"k"}`),
		"fields, look-alike": fill(`{`, `"CALL_BAC\u212a_KE":0,`, `"call_back_key":"k"}`),
		"digits":             fill(`{"call_back_key":"k","data":1`, "0", "}"),
		"spaces":             fill(`{"call_back_key":"k","data":0`, " ", "}"),
		"not closed":         fill(`{"call_back_key":"k","data":"`, `x`, ""),
	}
}

// 1 MiB of the worst is scanned without memory; BenchmarkScanHostile has the times.
func TestScanEnvelopeOfHostileData(t *testing.T) {
	small := hostile(1000)
	for name, data := range hostile(1 << 20) {
		t.Run(name, func(t *testing.T) {
			if allocs := testing.AllocsPerRun(1, func() { partsOf(data) }); allocs != 0 {
				t.Errorf("%d bytes took %v allocations", len(data), allocs)
			}
			wantAgreement(t, small[name])
		})
	}
}
