package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/longwire/longwire/internal/store"
)

// BenchmarkPut keeps commands on the disk for boards that are away, from so many programs at a time.
// What the engine does by itself is in BenchmarkAppend of package store.
func BenchmarkPut(b *testing.B) {
	for _, programs := range []int{1, 64} {
		b.Run(fmt.Sprint("programs=", programs), func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir(), Logs: []store.LogConfig{{Name: "commands", Latest: true}}})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			q, err := Open(b.Context(), Config{Log: s.Log("commands"), Sender: nobody{}, Max: 1 << 30, MaxBytes: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			q.Start()
			defer q.Close()
			var n atomic.Int64
			data := []byte(`{"valve":7,"open":true,"because":"the basin is full"}`)
			b.ResetTimer()
			if programs == 1 {
				for b.Loop() {
					if r := q.Put(b.Context(), Request{Device: "board", Type: 0x10, Data: data}); r[0].Err != nil {
						b.Fatal(r[0].Err)
					}
				}
			} else {
				b.SetParallelism(programs / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if r := q.Put(b.Context(), Request{Device: fmt.Sprint("board", n.Add(1)%1000), Type: 0x10, Data: data}); r[0].Err != nil {
							b.Error(r[0].Err)
							return
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}

// nobody is boards that are all away.
type nobody struct{}

func (nobody) Connected(string) bool { return false }
func (nobody) Send(context.Context, *Command) (func(context.Context) (Answer, error), error) {
	return nil, ErrAway
}
