package longwire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// article is what the article's client sends, byte for byte.
var article = []byte{0xC8, 0, 0, 0, 0x0D, 0, 0x10, '6', '6', '6', '6', '6', 0xC9}

func TestArticleClient(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok})
		p := b.peer()
		p.send(article)
		p.wantAnswer(0x10, "", "200")
		p.send(article)
		p.wantAnswer(0x10, "", "200")
		p.closeWrite()
		p.wantEnd()
		b.wantClosed(longwire.ReasonPeerClosed, 1)
	})
}

func TestArticleClientWithPausesBetweenTheBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
		p := b.peer()
		for range 3 {
			for i := range article {
				time.Sleep(700 * time.Millisecond)
				p.send(article[i : i+1])
			}
			p.wantAnswer(0x10, "", "200")
		}
	})
}

func TestManyFramesInOneWriteAreAnsweredInOrder(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo})
		p := b.peer()
		var all []byte
		for i := range 100 {
			all = append(all, wire(0x10, fmt.Sprint("message ", i))...)
		}
		p.send(all)
		for i := range 100 {
			if got, want := p.wantFrame(0x10), fmt.Sprint("message ", i); got != want {
				t.Fatalf("answer %q, want %q", got, want)
			}
		}
		p.closeWrite()
		p.wantEnd()
	})
}

func TestFramesCutAtEveryPlace(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo})
		two := append(wire(0x10, "\xC8first\xC9"), wire(0x20, question("k", `"\u00c8"`))...)
		for cut := range len(two) + 1 {
			p := b.peer()
			p.send(two[:cut])
			p.send(two[cut:])
			if got := p.wantFrame(0x10); got != "\xC8first\xC9" {
				t.Errorf("cut at %d: %q", cut, got)
			}
			if got := p.wantFrame(0x20); got != question("k", `"\u00c8"`) {
				t.Errorf("cut at %d: %q", cut, got)
			}
			p.nc.Close()
		}
	})
}

func TestDataOfEverySize(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo})
		p := b.peer()
		for _, size := range []int{0, 1, 4088, 4089, 10_000, 1_000_000, 1<<20 - 8} {
			if n.slow && size > 10_000 {
				continue
			}
			for _, fill := range []string{"6", "\xC8", "\xC9", "\xC8\xC9", "\xC8\x00\x00\x00\x08\x00\x10\xC9"} {
				data := strings.Repeat(fill, size/len(fill)+1)[:size]
				go p.nc.Write(wire(0x10, data))
				if got := p.wantFrame(0x10); got != data {
					t.Fatalf("%d bytes of %q came back as %d others", size, fill, len(got))
				}
			}
		}
		p.closeWrite()
		p.wantEnd()
	})
}

// header returns the first bytes of a frame that declares a length.
func header(length uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{0xC8}, length)) + "\x00\x10"
}

func TestBytesThatAreNoFrames(t *testing.T) {
	tests := []struct {
		name   string
		bytes  string
		reason longwire.Reason
	}{
		{"wrong head", "\xC7\x00\x00\x00\x08\x00\x10\xC9", longwire.ReasonBadFrame},
		{"wrong tail", "\xC8\x00\x00\x00\x08\x00\x10\xC8", longwire.ReasonBadFrame},
		{"http", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", longwire.ReasonBadFrame},
		{"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", longwire.ReasonBadFrame},
		{"ssh", "SSH-2.0-OpenSSH_9.2\r\n", longwire.ReasonBadFrame},
		{"over the limit", header(1<<20 + 1), longwire.ReasonFrameTooLarge},
		{"2^31-1", header(0x7FFFFFFF), longwire.ReasonFrameTooLarge},
		{"2^31", header(0x80000000), longwire.ReasonFrameTooLarge},
		{"2^32-1", header(0xFFFFFFFF), longwire.ReasonFrameTooLarge},
	}
	for length := range uint32(8) {
		tests = append(tests, struct {
			name   string
			bytes  string
			reason longwire.Reason
		}{fmt.Sprint("length ", length), header(length) + "\xC9", longwire.ReasonBadFrame})
	}
	overNetworks(t, func(t *testing.T, n network) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				b := serve(t, n, &longwire.Server{Handler: ok})
				p := b.peer()
				p.send([]byte(string(article) + test.bytes))
				p.wantAnswer(0x10, "", "200") // what came before is answered
				p.wantEnd()
				b.wantClosed(test.reason, 1)
				if lines := b.log.lines(`"WARN"`); len(lines) != 1 || !strings.Contains(lines[0], test.reason.String()) {
					t.Errorf("log lines: %q, want one with %v", lines, test.reason)
				}
				next := b.peer()
				next.send(article)
				next.wantAnswer(0x10, "", "200")
			})
		}
	})
}

func TestStreamThatEndsInsideAFrame(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok})
		p := b.peer()
		p.send(append(bytes.Clone(article), article[:9]...))
		p.closeWrite()
		p.wantAnswer(0x10, "", "200")
		p.wantEnd()
		b.wantClosed(longwire.ReasonTruncated, 1)
	})
}

func TestDeclaredLengthIsNotAllocated(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{BufferSize: 64}), &longwire.Server{Handler: ok})
	const peers = 200
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	for range peers {
		b.peer().send([]byte(header(1<<20) + "123456789"))
	}
	for b.srv.Stats().BytesIn < 16*peers {
		runtime.Gosched()
	}
	if each := (int64(used()) - int64(before)) / peers; each > 32<<10 {
		t.Errorf("a peer that declares 1 MiB and sends 16 bytes costs %d bytes, both ends in memory", each)
	}
}

func TestResyncSkipsUpToItsBudget(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Resync: 100}})
		p := b.peer()
		p.send([]byte("garbage\xC8" + string(wire(1, "one")) + "\xC8\x00\x00\x00\x09\x00\x10\xC9\xC8" + string(wire(2, "two"))))
		if p.wantFrame(1) != "one" || p.wantFrame(2) != "two" {
			t.Error("wrong data")
		}
		p.send(bytes.Repeat([]byte{'x'}, 200))
		p.wantEnd()
		b.wantClosed(longwire.ReasonBadFrame, 1)
	})
}

func TestTwoBoardsAtOnce(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo})
		first, second := b.peer(), b.peer()
		for i := range 10 {
			first.sendFrame(0x10, fmt.Sprint("first ", i))
			second.sendFrame(0x10, fmt.Sprint("second ", i))
			if got := second.wantFrame(0x10); got != fmt.Sprint("second ", i) {
				t.Errorf("second got %q", got)
			}
			if got := first.wantFrame(0x10); got != fmt.Sprint("first ", i) {
				t.Errorf("first got %q", got)
			}
		}
		if open := b.srv.Stats().Open; open != 2 {
			t.Errorf("%d connections are open, want 2", open)
		}
	})
}

func TestReservedTypesNeverReachAHandler(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type >= 0xFF00 {
				t.Errorf("type %v reached the handler", m.Type)
			}
			return longwire.Raw("answer"), nil
		})})
		p := b.peer()
		for typ := longwire.Type(0xFF03); typ <= 0xFFFF; typ++ {
			p.sendFrame(typ, `{"call_back_key":"k"}`)
		}
		p.sendFrame(0xFEFF, "last")
		if got := p.wantFrame(0xFEFF); got != "answer" {
			t.Errorf("got %q", got)
		}
	})
}

func TestEveryTypeHasAnOutcome(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: new(longwire.Mux)})
	p := b.peer()
	var all []byte
	for typ := range longwire.Type(0xFF00) {
		all = append(all, wire(typ, question("k", "1"))...)
	}
	go p.nc.Write(all)
	for typ := range longwire.Type(0xFF00) {
		p.wantAnswer(typ, "k", "404")
	}
}
