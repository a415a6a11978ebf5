package httpapi

import (
	"context"
	"time"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// A keeping is what the store holds.
type keeping struct {
	Error     string        `json:"error" doc:"why nothing is kept at the moment; empty when all is well"`
	FreeBytes *int64        `json:"free_bytes" doc:"that are left on the file system of the gateway's data; null when that is not known"`
	Lost      keepingLost   `json:"lost"`
	Logs      []keptLog     `json:"logs"`
	Commands  keptCommands  `json:"commands"`
	Delivery  *keptDelivery `json:"delivery" doc:"what has become of events that are posted to the user's program; null when there is none"`
	NotKept   int64         `json:"not_kept" doc:"events that could not be kept; devices whose messages are among them have been told"`
}

type keepingLost struct {
	Records  uint64   `json:"records" doc:"that the store has found to be lost when it was opened, at the most"`
	Bytes    uint64   `json:"bytes" doc:"of these"`
	SetAside []string `json:"set_aside" doc:"directories with the files that were damaged, as they were"`
}

// A keptLog is one of the logs. What is counted, is counted since the start of the gateway.
type keptLog struct {
	Name             string  `json:"name" enum:"commands,events,devices,cursors"`
	Records          uint64  `json:"records"`
	Bytes            uint64  `json:"bytes"`
	Keys             uint64  `json:"keys" doc:"different ones that its records have"`
	First            uint64  `json:"first" doc:"number of its first record"`
	Last             uint64  `json:"last" doc:"number of its last record"`
	Commits          uint64  `json:"commits" doc:"times that records were written together"`
	Committed        uint64  `json:"committed" doc:"records that were"`
	CommitSeconds    float64 `json:"commit_seconds" doc:"that all commits took, until they were on disk"`
	MaxCommitSeconds float64 `json:"max_commit_seconds" doc:"that the longest one took"`
	RefusedRecords   uint64  `json:"refused" doc:"records that there was no room for"`
	FailedRecords    uint64  `json:"failed" doc:"records that may or may not have been written"`
	DamagedRecords   uint64  `json:"damaged" doc:"records that were read, found damaged and passed over"`
	QueuedBytes      int64   `json:"queued_bytes" doc:"that wait to be written"`
}

type keptCommands struct {
	Devices  int             `json:"devices" doc:"that commands wait for"`
	Waiting  int             `json:"waiting" doc:"commands that have not ended"`
	Bytes    int64           `json:"bytes" doc:"of these"`
	InFlight int             `json:"in_flight" doc:"commands that devices have not answered yet"`
	Put      int64           `json:"put" doc:"commands that were accepted"`
	Attempts int64           `json:"attempts" doc:"times that a command was sent"`
	Ended    commandOutcomes `json:"ended" doc:"commands that have ended, by their state"`
}

type commandOutcomes struct {
	Done      int64 `json:"done"`
	Failed    int64 `json:"failed"`
	Expired   int64 `json:"expired"`
	Dead      int64 `json:"dead"`
	Cancelled int64 `json:"cancelled"`
}

type keptDelivery struct {
	Delivered int64 `json:"delivered" doc:"events that the program has taken"`
	Refused   int64 `json:"refused" doc:"events that it does not want, and is not asked about again"`
	Failed    int64 `json:"failed" doc:"attempts that have failed"`
	Gone      int64 `json:"gone" doc:"events, at most, that were gone from the disk before they could be delivered"`
	Ahead     int   `json:"ahead" doc:"events that have been read and are not delivered yet"`
}

type storeOutput struct{ Body keeping }

func (s *Server) showStore(ctx context.Context, _ *struct{}) (*storeOutput, error) {
	all := s.g.Stats()
	if all.Store == nil {
		return nil, s.fail(ctx, gateway.ErrNothingKept)
	}
	k := keeping{NotKept: all.NotKept, Commands: showCounts(all.Commands), Logs: []keptLog{}}
	if all.Refusing != nil {
		k.Error = all.Refusing.Error()
	}
	if all.Store.Free >= 0 {
		k.FreeBytes = &all.Store.Free
	}
	k.Lost = showLost(&all.Store.Lost)
	for i := range all.Store.Logs {
		k.Logs = append(k.Logs, showLog(&all.Store.Logs[i]))
	}
	if d := all.Delivery; d != nil {
		k.Delivery = &keptDelivery{d.Delivered, d.Refused, d.Failed, d.Gone, d.Ahead}
	}
	return &storeOutput{k}, nil
}

func showLost(l *store.Lost) keepingLost {
	lost := keepingLost{Records: l.Records(), SetAside: append([]string{}, l.SetAside...)}
	for _, d := range l.Damage {
		lost.Bytes += uint64(d.Bytes)
		if d.Kept != "" {
			lost.SetAside = append(lost.SetAside, d.Kept)
		}
	}
	return lost
}

func showLog(l *store.LogStats) keptLog {
	return keptLog{
		Name: l.Name, Records: l.Records, Bytes: l.Bytes, Keys: l.Keys, First: l.First, Last: l.Last,
		Commits: l.Commits, Committed: l.Committed, CommitSeconds: seconds(l.CommitTime), MaxCommitSeconds: seconds(l.MaxCommitTime),
		RefusedRecords: l.Refused, FailedRecords: l.Failed, DamagedRecords: l.Damaged, QueuedBytes: l.Queued,
	}
}

func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

func showCounts(c *queue.Counts) keptCommands {
	return keptCommands{
		Devices: c.Boards, Waiting: c.Waiting, Bytes: c.Bytes, InFlight: c.InFlight, Put: c.Put, Attempts: c.Attempts,
		Ended: commandOutcomes{
			Done: c.Ended[queue.Done], Failed: c.Ended[queue.Failed], Expired: c.Ended[queue.Expired],
			Dead: c.Ended[queue.Dead], Cancelled: c.Ended[queue.Cancelled],
		},
	}
}
