package httpapi

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
)

// A statistics is what the gateway has counted, and how the last hour has been.
type statistics struct {
	Version   string          `json:"version"`
	StartedAt time.Time       `json:"started_at" doc:"when the gateway began, which is what is counted from"`
	Now       time.Time       `json:"now"`
	Interval  string          `json:"interval" doc:"how long a sample is of, as in 10s"`
	Devices   deviceCounts    `json:"devices"`
	Listeners []listenerStats `json:"listeners" doc:"in the order of their names"`
	Memory    memoryStats     `json:"memory"`
	Commands  *keptCommands   `json:"commands" doc:"null when nothing is kept"`
	Store     *storeStats     `json:"store" doc:"null when nothing is kept"`
	Delivery  *keptDelivery   `json:"delivery" doc:"what has become of events that are posted to the user's program; null when there is none"`
	Asks      askCounts       `json:"asks"`
	Samples   []sample        `json:"samples" doc:"of the last hour, the oldest first"`
}

type deviceCounts struct {
	Known  int `json:"known"`
	Online int `json:"online"`
}

type listenerStats struct {
	Name           string           `json:"name"`
	Address        string           `json:"address"`
	Connections    int64            `json:"connections" doc:"that are open"`
	MaxConnections int64            `json:"max_connections" doc:"0 when there is no limit"`
	Strangers      int64            `json:"strangers" doc:"connections that wait to be let in"`
	FramesIn       int64            `json:"frames_in"`
	FramesOut      int64            `json:"frames_out"`
	BytesIn        int64            `json:"bytes_in"`
	BytesOut       int64            `json:"bytes_out"`
	LoginsRefused  int64            `json:"logins_refused"`
	Takeovers      int64            `json:"takeovers" doc:"connections that were replaced by a newer one of the same device"`
	Refused        int64            `json:"refused" doc:"messages that were refused before they were handled"`
	Dropped        int64            `json:"dropped" doc:"messages to devices that were dropped, because they read too slowly"`
	LateAnswers    int64            `json:"late_answers" doc:"answers that nobody waited for any more"`
	Closed         map[string]int64 `json:"closed" doc:"connections that have ended, by the reason"`
	Budgets        []budget         `json:"budgets"`
}

// A budget is bytes that connections share.
type budget struct {
	Name  string `json:"name" enum:"waiting,unfinished,unsent" doc:"messages that wait to be handled, frames that have begun to arrive, what waits for devices that do not read"`
	Used  int64  `json:"used" doc:"bytes"`
	Limit int64  `json:"limit" doc:"bytes; 0 when there is none"`
}

type memoryStats struct {
	Used  int64 `json:"used" doc:"bytes that the program has"`
	Limit int64 `json:"limit" doc:"GOMEMLIMIT; 0 when there is none"`
}

// A storeStats is the short form of what GET /v1/store has.
type storeStats struct {
	Error     string `json:"error" doc:"why nothing is kept at the moment; empty when all is well"`
	Records   uint64 `json:"records" doc:"of all logs"`
	Bytes     uint64 `json:"bytes" doc:"of all logs"`
	FreeBytes *int64 `json:"free_bytes" doc:"that are left on the file system of the gateway's data; null when that is not known"`
	Lost      uint64 `json:"lost" doc:"records that the store has found to be lost when it was opened, at the most"`
	NotKept   int64  `json:"not_kept" doc:"events that could not be kept"`
}

type askCounts struct {
	Count  int64 `json:"count" doc:"questions to connected devices that have ended"`
	Failed int64 `json:"failed" doc:"of them, those that were not answered"`
}

// A sample is what has happened in an interval, and what there was at its end.
type sample struct {
	At              time.Time        `json:"at" doc:"the end of the interval"`
	Connections     int64            `json:"connections" doc:"that were open at its end"`
	FramesIn        int64            `json:"frames_in"`
	FramesOut       int64            `json:"frames_out"`
	BytesIn         int64            `json:"bytes_in"`
	BytesOut        int64            `json:"bytes_out"`
	Asks            int64            `json:"asks" doc:"questions to connected devices that have ended"`
	AsksFailed      int64            `json:"asks_failed" doc:"of them, those that were not answered"`
	AskP50          float64          `json:"ask_p50" doc:"seconds that half of the answers took at the most, to a sixteenth; 0 where there was none"`
	AskP99          float64          `json:"ask_p99" doc:"seconds that 99 of 100 answers took at the most, to a sixteenth; 0 where there was none"`
	Closed          map[string]int64 `json:"closed" doc:"connections that have ended, by the reason"`
	Memory          int64            `json:"memory" doc:"bytes that the program had at its end"`
	CommandsWaiting int              `json:"commands_waiting" doc:"commands that had not ended at its end"`
}

type statsInput struct {
	Since time.Time `query:"since" doc:"leaves out samples that are not newer, as in 2026-01-02T15:04:05Z: the at of the last one that is known"`
}

type statsOutput struct {
	Body statistics `nameHint:"Stats"`
}

func (s *Server) showStats(_ context.Context, in *statsInput) (*statsOutput, error) {
	all := s.g.Stats()
	out := &statsOutput{statistics{
		Version:   s.conf.Version,
		StartedAt: all.Started.UTC(),
		Now:       time.Now().UTC(),
		Interval:  gateway.SampleEvery.String(),
		Devices:   deviceCounts{all.Devices, all.Online},
		Listeners: []listenerStats{},
		Memory:    memoryStats{all.Memory, all.MemoryLimit},
		Asks:      askCounts{all.Asks, all.AsksFailed},
		Samples:   []sample{},
	}}
	b := &out.Body
	for name, l := range all.Listeners {
		b.Listeners = append(b.Listeners, showListener(name, &l))
	}
	slices.SortFunc(b.Listeners, func(x, y listenerStats) int { return cmp.Compare(x.Name, y.Name) })
	if all.Store != nil {
		counts := showCounts(all.Commands)
		b.Commands, b.Store = &counts, showShort(&all)
	}
	if d := all.Delivery; d != nil {
		b.Delivery = &keptDelivery{d.Delivered, d.Refused, d.Failed, d.Gone, d.Ahead}
	}
	for _, one := range s.g.Samples(in.Since) {
		b.Samples = append(b.Samples, sample{
			At: one.At.UTC(), Connections: one.Connections, FramesIn: one.FramesIn, FramesOut: one.FramesOut, BytesIn: one.BytesIn, BytesOut: one.BytesOut,
			Asks: one.Asks, AsksFailed: one.AsksFailed, AskP50: one.AskP50.Seconds(), AskP99: one.AskP99.Seconds(),
			Closed: byReason(one.Closed), Memory: one.Memory, CommandsWaiting: one.CommandsWaiting,
		})
	}
	return out, nil
}

func showListener(name string, l *gateway.ListenerStats) listenerStats {
	return listenerStats{
		Name: name, Address: l.Address, Connections: l.Open, MaxConnections: orNone(l.Limits.Conns), Strangers: l.Strangers,
		FramesIn: l.FramesIn, FramesOut: l.FramesOut, BytesIn: l.BytesIn, BytesOut: l.BytesOut,
		LoginsRefused: l.LoginsRefused, Takeovers: l.Takeovers, Refused: l.Refused, Dropped: l.Dropped, LateAnswers: l.LateAnswers,
		Closed: byReason(l.Closed),
		Budgets: []budget{
			{"waiting", l.Waiting, orNone(l.Limits.Waiting)},
			{"unfinished", l.Unfinished, orNone(l.Limits.Unfinished)},
			{"unsent", l.Unsent, orNone(l.Limits.Unsent)},
		},
	}
}

// orNone returns a limit, and 0 for what is none.
func orNone(limit int) int64 {
	if limit == math.MaxInt {
		return 0
	}
	return int64(limit)
}

func byReason(counts map[longwire.Reason]int64) map[string]int64 {
	words := make(map[string]int64, len(counts))
	for reason, n := range counts {
		words[reason.String()] = n
	}
	return words
}

func showShort(all *gateway.Stats) *storeStats {
	short := &storeStats{Lost: all.Store.Lost.Records(), NotKept: all.NotKept}
	if all.Refusing != nil {
		short.Error = all.Refusing.Error()
	}
	if all.Store.Free >= 0 {
		short.FreeBytes = &all.Store.Free
	}
	for i := range all.Store.Logs {
		short.Records += all.Store.Logs[i].Records
		short.Bytes += all.Store.Logs[i].Bytes
	}
	return short
}
