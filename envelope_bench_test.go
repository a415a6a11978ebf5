package longwire

import (
	"bytes"
	"testing"
)

// question200 is a question of 200 bytes, as a meter sends it.
var question200 = []byte(`{"data_type":"meter.reading","call_back_key":"0123456789-4f2a","data":{"meter":"7E-0042-1981","at":"2026-08-01T12:00:00Z","volts":[229.8,230.1,230.4],"amps":[1.02,0.97,3.5],"ok":true,"note":"none."}}`)

// answer200 is an answer of 200 bytes.
var answer200 = []byte(`{"data_type":"meter.reading","call_back_key":"0123456789-4f2a","status":"200","message":"ok","data":{"meter":"7E-0042-1981","at":"2026-08-01T12:00:00Z","volts":[229.8,230.1,230.4],"amps":[1.02,0.975]}}`)

func BenchmarkScanEnvelope(b *testing.B) {
	for _, bench := range []struct {
		name string
		data []byte
	}{
		{"question200", question200},
		{"answer200", answer200},
		{"number", []byte("66666")},
		{"binary200", bytes.Repeat([]byte{0x01, 0xC8, '{', 0xFF}, 50)},
		{"plain200", bytes.Replace(question200, []byte("call_back_key"), []byte("call_back_kee"), 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.data)))
			b.ReportAllocs()
			for b.Loop() {
				partsOf(bench.data)
			}
		})
	}
}

// 1 MiB of what costs most must not take longer than 10 ms.
func BenchmarkScanHostile(b *testing.B) {
	for name, data := range hostile(1 << 20) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				partsOf(data)
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	type reading struct {
		Meter string  `json:"meter"`
		Volts float64 `json:"volts"`
	}
	for _, bench := range []struct {
		name  string
		value any
	}{
		{"nil", nil},
		{"raw", Raw("66666")},
		{"struct", reading{"7E-0042-1981", 229.8}},
		{"string", "see you"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := &Message{Type: 0x10, Data: question200, parts: partsOf(question200)}
			var scratch []byte
			b.ReportAllocs()
			for b.Loop() {
				answer, err := m.appendValue(scratch[:0], bench.value)
				if err != nil {
					b.Fatal(err)
				}
				scratch = answer
			}
		})
	}
}
