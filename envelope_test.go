package longwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scanTests say what is a question, an answer and, with the zero reading, plain
// data.
var scanTests = []struct {
	name string
	data string
	want reading
}{
	{"question", `{"data_type":"t","call_back_key":"k","data":[1, 2]}`, reading{kind: "question", dataType: "t", key: "k", data: "[1, 2]"}},
	{"only a key", `{"call_back_key":"k"}`, reading{kind: "question", key: "k"}},
	{"question with a message", `{"call_back_key":"k","message":"m"}`, reading{kind: "question", key: "k", message: "m"}},
	{"answer", `{"call_back_key":"k","status":"200","message":"ok","data":null}`, reading{kind: "answer", key: "k", status: "200", message: "ok", data: "null"}},
	{"answer without a key", `{"call_back_key":"","status":"200"}`, reading{kind: "answer", status: "200"}},
	{"empty status", `{"call_back_key":"k","status":""}`, reading{kind: "answer", key: "k"}},
	{"another order, spaces", " {\t\"status\" :\r\n\"404\" , \"call_back_key\" : \"k\"\n} ", reading{kind: "answer", key: "k", status: "404"}},
	{"fields of its own", `{"seq":7,"call_back_key":"k","call_back":{"key":1},"":0}`, reading{kind: "question", key: "k"}},
	{"the same field of its own twice", `{"x":1,"call_back_key":"k","x":2}`, reading{kind: "question", key: "k"}},
	{"known names further in", `{"call_back_key":"k","data":{"status":"1","status":"2","call_back_key":3}}`,
		reading{kind: "question", key: "k", data: `{"status":"1","status":"2","call_back_key":3}`}},
	{"all escapes", `{"call_back_key":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"}`, reading{kind: "question", key: "\"\\/\b\f\n\r\té😀"}},

	{"no key", `{"data":1}`, reading{}},
	{"empty key", `{"call_back_key":"","data":1}`, reading{kind: "note", data: "1"}},
	{"empty key and no data", `{"data_type":"t","call_back_key":""}`, reading{}},
	{"status without a key", `{"status":"200","data":1}`, reading{}},
	{"empty object", `{}`, reading{}},
	{"nothing", ``, reading{}},
	{"number", `66666`, reading{}},
	{"string", `"call_back_key"`, reading{}},
	{"array", `[{"call_back_key":"k"}]`, reading{}},
	{"binary", "\x00\xc8{\xc9", reading{}},
	{"byte order mark", "\ufeff" + `{"call_back_key":"k"}`, reading{}},
	{"utf-16", "{\x00\"\x00", reading{}},

	// A field given twice, a name in disguise: which of them is it?
	{"key twice", `{"call_back_key":"k","call_back_key":"k"}`, reading{}},
	{"key twice, first empty", `{"call_back_key":"","call_back_key":"k"}`, reading{}},
	{"data twice", `{"call_back_key":"k","data":1,"data":2}`, reading{}},
	{"status twice", `{"call_back_key":"k","status":"200","status":"500"}`, reading{}},
	{"escaped name", `{"call_back_ke\u0079":"k"}`, reading{}},
	{"escaped name beside the plain one", `{"call_back_key":"k","\u0073tatus":"200"}`, reading{}},
	{"escaped at the end", `{"call_back_key":"k","dat\u0061":1}`, reading{}},
	{"escaped in capital hexadecimals", `{"call_back_key":"k","call_bac\u006B_key":1}`, reading{}},
	{"upper case", `{"call_back_key":"k","Status":"200"}`, reading{}},
	{"upper case beside the plain one", `{"call_back_key":"k","data":1,"DATA":2}`, reading{}},
	{"long s", `{"call_back_key":"k","ſtatus":"200"}`, reading{}},
	{"Kelvin sign, escaped", `{"call_back_key":"k","call_back_\u212aey":"l"}`, reading{}},
	{"escaped, but another name", `{"call_back_key":"k","d\u00e4ta":1,"\\u0064ata":2,"\"":3,"dat\u0061\u0000":4,"\n0064ata":5,"\\":6}`, reading{kind: "question", key: "k"}},
	{"something behind it", `{"call_back_key":"k"}{}`, reading{}},
	{"a byte behind it", `{"call_back_key":"k"}` + "\x00", reading{}},

	// The wrong type.
	{"key is a number", `{"call_back_key":7}`, reading{}},
	{"key is null", `{"call_back_key":null}`, reading{}},
	{"status is a number", `{"call_back_key":"k","status":200}`, reading{}},
	{"status is null", `{"call_back_key":"k","status":null}`, reading{}},
	{"message is an object", `{"call_back_key":"k","message":{}}`, reading{}},
	{"data type is a number", `{"call_back_key":"k","data_type":1}`, reading{}},

	// What is no text, and what is no number that one can count on.
	{"key is not UTF-8", `{"call_back_key":"` + "k\xff" + `"}`, reading{}},
	{"key is cut UTF-8", `{"call_back_key":"` + "\xe2\x82" + `"}`, reading{}},
	{"key is a surrogate in UTF-8", `{"call_back_key":"` + "\xed\xa0\x80" + `"}`, reading{}},
	{"message is not UTF-8", `{"call_back_key":"k","status":"200","message":"` + "\xc4\xe3" + `"}`, reading{}},
	{"data is not UTF-8", `{"call_back_key":"k","data":"` + "\xc4\xe3" + `"}`, reading{kind: "question", key: "k", data: "\"\xc4\xe3\""}},
	{"NUL in the key", `{"call_back_key":"` + "\x00" + `"}`, reading{}},
	{"escaped NUL in the key", `{"call_back_key":"\u0000"}`, reading{kind: "question", key: "\x00"}},
	{"lone surrogate", `{"call_back_key":"\ud800"}`, reading{kind: "question", key: "\ufffd"}},
	{"huge number", `{"call_back_key":"k","data":1e400}`, reading{kind: "question", key: "k", data: "1e400"}},
	{"2^53+1", `{"call_back_key":"k","data":9007199254740993}`, reading{kind: "question", key: "k", data: "9007199254740993"}},

	// Not JSON.
	{"single quotes", `{'call_back_key':'k'}`, reading{}},
	{"comma at the end", `{"call_back_key":"k",}`, reading{}},
	{"comment", `{"call_back_key":"k"/**/}`, reading{}},
	{"leading zero", `{"call_back_key":"k","data":01}`, reading{}},
	{"NaN", `{"call_back_key":"k","data":NaN}`, reading{}},
	{"line break in a string", "{\"call_back_key\":\"k\n\"}", reading{}},
	{"no hexadecimals", `{"call_back_key":"\u00eg"}`, reading{}},
	{"unknown escape", `{"call_back_key":"\x41"}`, reading{}},

	{"as deep as allowed", `{"call_back_key":"k","data":` + nested(maxDepth-1) + `}`, reading{kind: "question", key: "k", data: nested(maxDepth - 1)}},
	{"too deep", `{"call_back_key":"k","data":` + nested(maxDepth) + `}`, reading{}},
	{"objects as deep as allowed", `{"call_back_key":"k","data":` + nestedObjects(maxDepth-1) + `}`, reading{kind: "question", key: "k", data: nestedObjects(maxDepth - 1)}},
	{"objects too deep", `{"call_back_key":"k","data":` + nestedObjects(maxDepth) + `}`, reading{}},
	{"too deep beside the data", `{"call_back_key":"k","x":` + nested(maxDepth) + `}`, reading{}},
}

// nested returns arrays inside one another.
func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func nestedObjects(n int) string {
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

func TestScanEnvelope(t *testing.T) {
	for _, test := range scanTests {
		t.Run(test.name, func(t *testing.T) {
			if got := scanned([]byte(test.data)); got != test.want {
				t.Errorf("%q:\n got %+v\nwant %+v", test.data, got, test.want)
			}
			wantAgreement(t, []byte(test.data))
			wantAnswerFits(t, []byte(test.data))
		})
	}
}

// What a peer sent as key and data type comes back as it was written.
func TestAnswerRepeatsKeyAndDataTypeByteForByte(t *testing.T) {
	for _, text := range []string{`k`, `\u006b`, `\ud800`, `\uDC00\uD800`, `\/`, `\u0000`, `é`, "\u2028", `\\\"`, "\x7f"} {
		data := []byte(`{"call_back_key":"` + text + `","data_type":"` + text + `"}`)
		m := &Message{Data: data, parts: partsOf(data)}
		answer, err := m.appendAnswer(nil, &Envelope{Data: 7})
		want := `{"data_type":"` + text + `","call_back_key":"` + text + `","status":"200","message":"ok","data":7}`
		if err != nil || string(answer) != want {
			t.Errorf("answer %s, %v\nwant   %s", answer, err, want)
		}
	}
}

func TestStatusOK(t *testing.T) {
	for status, want := range map[string]bool{
		"200": true, "204": true, "299": true,
		"": false, "199": false, "300": false, "404": false, "2": false, "20": false, "2000": false,
		"0200": false, "+200": false, "-200": false, "200 ": false, "2e2": false, "2x0": false, "20x": false, "２００": false,
	} {
		if got := statusOK(status); got != want {
			t.Errorf("statusOK(%q) = %v", status, got)
		}
	}
}

// A text is any string, also one that is not UTF-8.
var aText = rapid.OneOf(
	rapid.String(),
	rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	rapid.SampledFrom([]string{"", "200", "\"\\/", "\x00\x1f\x7f", "<&>\u2028", "\xff", "\xed\xa0\x80", "😀"}),
)

// aValue is anything that can be encoded.
var aValue = rapid.Custom(func(t *rapid.T) any { return drawValue(t, 4) })

func drawValue(t *rapid.T, levels int) any {
	kinds := 9
	if levels == 0 {
		kinds = 7
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return aText.Draw(t, "text")
	case 2:
		return rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float")
	case 3:
		return rapid.Int64().Draw(t, "int")
	case 4:
		return json.RawMessage(" { \"a\" : [ 1 ,\n2 ] , \"a\" : \"\\ud800\xff\" } ")
	case 5:
		return struct {
			A string `json:"data"`
			B []byte
		}{aText.Draw(t, "text"), []byte("b")}
	case 6:
		return &Error{Status: aText.Draw(t, "text")}
	case 7:
		m := make(map[string]any)
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			m[aText.Draw(t, "name")] = drawValue(t, levels-1)
		}
		return m
	default:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "elements"))
		for i := range list {
			list[i] = drawValue(t, levels-1)
		}
		return list
	}
}

var anEnvelope = rapid.Custom(func(t *rapid.T) *Envelope {
	return &Envelope{
		DataType:    aText.Draw(t, "data type"),
		CallBackKey: aText.Draw(t, "key"),
		Status:      aText.Draw(t, "status"),
		Message:     aText.Draw(t, "message"),
		Data:        aValue.Draw(t, "data"),
	}
})

// valid is s as it travels: what is not UTF-8 in it is replaced.
func valid(s string) string { return string([]rune(s)) }

// wantScan checks that the scanner finds in data what was put there.
func wantScan(t *rapid.T, data []byte, want reading, value any) {
	t.Helper()
	if !json.Valid(data) {
		t.Fatalf("not JSON: %q", data)
	}
	got := scanned(data)
	if !sameJSON(t, got.data, value) {
		t.Fatalf("data %s, want %#v", got.data, value)
	}
	got.data = ""
	if got != want {
		t.Fatalf("%q:\n got %+v\nwant %+v", data, got, want)
	}
	wantAgreement(t, data)
}

// sameJSON reports whether the text says what encoding/json makes of the value.
func sameJSON(t *rapid.T, text string, value any) bool {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := errors.Join(json.Unmarshal([]byte(text), &got), json.Unmarshal(encoded, &want)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(got, want)
}

func TestEnvelopeIsScannedAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anEnvelope.Draw(t, "envelope")
		data, err := e.appendTo([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		data, kept := bytes.CutPrefix(data, []byte("before"))
		if !kept {
			t.Fatalf("%q: what stood before it is lost", data)
		}
		want := reading{kind: "question", dataType: valid(e.DataType), key: valid(e.CallBackKey)}
		switch {
		case e.Status != "":
			want.kind, want.status, want.message = "answer", valid(e.Status), valid(e.Message)
		case e.CallBackKey == "":
			want.kind = "note"
		}
		wantScan(t, data, want, e.Data)
	})
}

func TestAnswerIsScannedAsItWasWritten(t *testing.T) {
	question := []byte(`{"call_back_key":"\u006b","data_type":"\u0074"}`)
	rapid.Check(t, func(t *rapid.T) {
		m := &Message{}
		want := reading{kind: "answer"}
		if rapid.Bool().Draw(t, "to a question") {
			m.Data, m.parts = question, partsOf(question)
			want.key, want.dataType = "k", "t"
		}
		e := anEnvelope.Draw(t, "envelope")
		data, err := m.appendAnswer(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		set := func(field *string, s string) {
			if s != "" {
				*field = valid(s)
			}
		}
		set(&want.key, e.CallBackKey)
		set(&want.dataType, e.DataType)
		want.status = StatusOK
		set(&want.status, e.Status)
		if want.status == StatusOK {
			want.message = "ok"
		}
		set(&want.message, e.Message)
		wantScan(t, data, want, e.Data)
	})
}

func TestQuestionWhoseDataIsTooDeepIsRefused(t *testing.T) {
	e := &Envelope{CallBackKey: "k", Data: json.RawMessage(nested(maxDepth - 1))}
	data, err := e.appendTo(nil)
	if p := partsOf(data); err != nil || !p.isQuestion() {
		t.Errorf("%s, %v", data, err)
	}
	e.Data = json.RawMessage(nested(maxDepth))
	if data, err := e.appendTo(nil); !errors.Is(err, errTooDeep) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestCloneKeepsTheFields(t *testing.T) {
	data := bytes.Clone(question200)
	m := &Message{Type: 0x10, Data: data, parts: partsOf(data)}
	c := m.Clone()
	poison(data)
	if c.Type != 0x10 || !bytes.Equal(c.Data, question200) || c.Key() != "0123456789-4f2a" || c.DataType() != "meter.reading" ||
		!bytes.HasPrefix(c.Payload(), []byte(`{"meter":`)) {
		t.Errorf("the clone holds %v %s", c.Type, c.Data)
	}
	if n := cap(c.Payload()) - len(c.Payload()); n != 0 {
		t.Errorf("appending to the payload would overwrite %d bytes of the message", n)
	}
}

func TestRawAnswer(t *testing.T) {
	for _, test := range []struct {
		raw  string
		want Envelope
		ok   bool
	}{
		{`{"data_type":"d","call_back_key":"k","status":"200","message":"m","data":[1]}`, Envelope{DataType: "d", CallBackKey: "k", Status: "200", Message: "m", Data: json.RawMessage(`[1]`)}, true},
		{`{"call_back_key":"","status":"500"}`, Envelope{Status: "500", Data: json.RawMessage(nil)}, true},
		{`{"call_back_key":"k","data":1}`, Envelope{}, false},
		{`{"status":"200","data":1}`, Envelope{}, false},
		{`{"call_back_key":"k","status":"200"} `, Envelope{CallBackKey: "k", Status: "200", Data: json.RawMessage(nil)}, true},
		{`66666`, Envelope{}, false},
		{``, Envelope{}, false},
	} {
		if got, ok := Raw(test.raw).Answer(); ok != test.ok || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v", test.raw, got, ok)
		}
	}
}
