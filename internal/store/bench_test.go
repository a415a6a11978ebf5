package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/longwire/longwire/internal/store"
)

const benchData = 200 // bytes of a record

// BenchmarkAppend measures acknowledged records, and beside them what the engine does
// by itself with as many who publish, each waiting for its answer.
func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 2, 4, 8, 16, 64, 256} {
		b.Run(fmt.Sprintf("store/%d", appenders), func(b *testing.B) {
			s := open(b, store.Config{Dir: b.TempDir(), Logs: []store.LogConfig{{Name: "log"}}})
			l := s.Log("log")
			atOnce(b, appenders, func(i int64) error {
				_, err := l.Append(b.Context(), store.Record{Key: fmt.Sprintf("q/board/%d", i), Data: make([]byte, benchData)})
				return err
			})
			st := s.Stats().Logs[0]
			b.ReportMetric(float64(st.Committed)/float64(st.Commits), "records/commit")
		})
		b.Run(fmt.Sprintf("engine/%d", appenders), func(b *testing.B) {
			js := engine(b)
			atOnce(b, appenders, func(i int64) error {
				_, err := js.Publish(b.Context(), fmt.Sprintf("q.board.%d", i), make([]byte, benchData))
				return err
			})
		})
	}
}

func engine(b *testing.B) jetstream.JetStream {
	b.Helper()
	srv, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: b.TempDir(), SyncAlways: true})
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	b.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "q", Subjects: []string{"q.>"}}); err != nil {
		b.Fatal(err)
	}
	return js
}

// atOnce calls a function b.N times, so many at once.
func atOnce(b *testing.B, n int, f func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	ended := make(chan error, n)
	b.ResetTimer()
	for range n {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					ended <- nil
					return
				}
				if err := f(i); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range n {
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// fillLog appends so many records of as many keys.
func fillLog(t testing.TB, l *store.Log, n int) {
	t.Helper()
	for i := 0; i < n; i += 500 {
		var records []store.Record
		for k := i; k < min(i+500, n); k++ {
			records = append(records, store.Record{Key: fmt.Sprintf("q/board.%d/%d", k%1000, k), Data: make([]byte, benchData)})
		}
		for !l.Submit(nil, records...) {
			appendTo(t, l, record("pause", ""))
		}
	}
	appendTo(t, l, record("end", ""))
}

const many = 100_000

func BenchmarkRead(b *testing.B) {
	for name, latest := range map[string]bool{"log": false, "latest": true} {
		b.Run(name, func(b *testing.B) {
			l := open(b, store.Config{Dir: b.TempDir(), Logs: []store.LogConfig{{Name: "log", Latest: latest}}}).Log("log")
			fillLog(b, l, many)
			benchmarkRead(b, l)
		})
	}
}

func benchmarkRead(b *testing.B, l *store.Log) {
	for _, filter := range []string{"", "q/*/*", "q/board.7/*"} {
		b.Run("all/"+filter, func(b *testing.B) {
			for b.Loop() {
				n := 0
				for after := uint64(0); ; {
					records, err := l.Read(b.Context(), filter, after, 0)
					if err != nil {
						b.Fatal(err)
					}
					if len(records) == 0 {
						break
					}
					n, after = n+len(records), records[len(records)-1].Seq
				}
				b.ReportMetric(float64(n), "records")
			}
		})
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if records, err := l.Read(b.Context(), "q/board.7/*", 50_000, 1); err != nil || len(records) != 1 {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 7919) % many
			if _, err := l.Get(b.Context(), fmt.Sprintf("q/board.%d/%d", i%1000, i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delete", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if err := l.Delete(b.Context(), fmt.Sprintf("q/board.%d/%d", i%1000, i)); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

// BenchmarkOpen opens a store that was killed, with many records and without any.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{0, many} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			c := store.Config{Dir: filepath.Join(dir, "full"), Logs: []store.LogConfig{{Name: "log"}}}
			s := open(b, c)
			fillLog(b, s.Log("log"), n)
			if err := os.CopyFS(filepath.Join(dir, "killed"), os.DirFS(c.Dir)); err != nil {
				b.Fatal(err)
			}
			for i := 0; i < b.N; i++ {
				b.StopTimer()
				c.Dir = filepath.Join(dir, fmt.Sprint(i))
				if err := os.CopyFS(c.Dir, os.DirFS(filepath.Join(dir, "killed"))); err != nil {
					b.Fatal(err)
				}
				syncDir(b, c.Dir) // or the first fsync of the store waits for all this
				b.StartTimer()
				s, err := store.Open(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				s.Close()
			}
		})
	}
}

// syncDir waits until all files in a directory are on the disk.
func syncDir(b *testing.B, dir string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
	if err != nil {
		b.Fatal(err)
	}
}
