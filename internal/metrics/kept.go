package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

var (
	notKept = describe("events_not_kept_total", "Events that could not be kept. Devices whose messages are among them have been told.")

	storeUp   = describe("store_up", "1 while the store takes records, 0 while it refuses them.")
	storeFree = describe("store_free_bytes", "Bytes that are left on the file system of the store.")
	storeLost = describe("store_lost_records", "Records that the store has found to be lost when it was opened.")
	setAside  = describe("store_set_aside_logs", "Logs that could not be opened and were set aside.")

	ended = describe("commands_ended_total", "Commands that have ended, by the state in which.", "state")

	delivered     = describe("delivery_events_total", "Events that the user's program has taken, or does not want, or that were gone from the disk before.", "outcome")
	deliverFailed = describe("delivery_failed_attempts_total", "Times that the user's program has not taken an event.")
	deliverAhead  = describe("delivery_ahead", "Events that have been read and are not delivered yet.")
)

const gaugeOf, countOf = prometheus.GaugeValue, prometheus.CounterValue

// endedStates are the states in which a command ends. Those that none has are there with zero.
var endedStates = []queue.State{queue.Done, queue.Failed, queue.Expired, queue.Dead, queue.Cancelled}

// ofCommands are the numbers that there are of commands.
var ofCommands = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*queue.Counts) int64
}{
	{describe("commands_waiting", "Commands that have not ended."), gaugeOf, func(c *queue.Counts) int64 { return int64(c.Waiting) }},
	{describe("commands_waiting_bytes", "Bytes of commands that have not ended."), gaugeOf, func(c *queue.Counts) int64 { return c.Bytes }},
	{describe("commands_waiting_devices", "Devices that commands wait for."), gaugeOf, func(c *queue.Counts) int64 { return int64(c.Boards) }},
	{describe("commands_in_flight", "Commands that devices have not answered yet."), gaugeOf, func(c *queue.Counts) int64 { return int64(c.InFlight) }},
	{describe("commands_put_total", "Commands that were accepted."), countOf, func(c *queue.Counts) int64 { return c.Put }},
	{describe("command_attempts_total", "Times that a command was sent."), countOf, func(c *queue.Counts) int64 { return c.Attempts }},
}

// ofLogs are the numbers that there are of each log.
var ofLogs = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*store.LogStats) float64
}{
	{ofLog("records", "Records that a log has."), gaugeOf, func(l *store.LogStats) float64 { return float64(l.Records) }},
	{ofLog("bytes", "Bytes that a log has."), gaugeOf, func(l *store.LogStats) float64 { return float64(l.Bytes) }},
	{ofLog("queued_bytes", "Bytes that wait to be written."), gaugeOf, func(l *store.LogStats) float64 { return float64(l.Queued) }},
	{ofLog("commits_total", "Times that records were written together."), countOf, func(l *store.LogStats) float64 { return float64(l.Commits) }},
	{ofLog("committed_records_total", "Records that were written."), countOf, func(l *store.LogStats) float64 { return float64(l.Committed) }},
	{ofLog("commit_seconds_total", "Seconds that writing took, until it was on disk."), countOf, func(l *store.LogStats) float64 { return l.CommitTime.Seconds() }},
	{ofLog("commit_seconds_max", "The longest that writing has taken, in seconds."), gaugeOf, func(l *store.LogStats) float64 { return l.MaxCommitTime.Seconds() }},
	{ofLog("refused_records_total", "Records that there was no room for."), countOf, func(l *store.LogStats) float64 { return float64(l.Refused) }},
	{ofLog("failed_records_total", "Records that may or may not have been written."), countOf, func(l *store.LogStats) float64 { return float64(l.Failed) }},
	{ofLog("damaged_records_total", "Records that were read, found damaged and passed over."), countOf, func(l *store.LogStats) float64 { return float64(l.Damaged) }},
}

func ofLog(name, help string) *prometheus.Desc { return describe("store_"+name, help, "log") }

// describeKept is Describe for what is kept.
func describeKept(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{notKept, storeUp, storeFree, storeLost, setAside, ended, delivered, deliverFailed, deliverAhead} {
		to <- d
	}
	for _, one := range ofCommands {
		to <- one.desc
	}
	for _, one := range ofLogs {
		to <- one.desc
	}
}

// collectKept is Collect for what is kept. Where nothing is, there are no such series.
func collectKept(to chan<- prometheus.Metric, all *gateway.Stats) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	if all.Store == nil {
		return
	}
	send(notKept, countOf, float64(all.NotKept))
	up := 1.0
	if all.Refusing != nil {
		up = 0
	}
	send(storeUp, gaugeOf, up)
	if all.Store.Free >= 0 {
		send(storeFree, gaugeOf, float64(all.Store.Free))
	}
	send(storeLost, gaugeOf, float64(all.Store.Lost.Records()))
	send(setAside, gaugeOf, float64(len(all.Store.Lost.SetAside)))
	for i := range all.Store.Logs {
		for _, one := range ofLogs {
			send(one.desc, one.kind, one.value(&all.Store.Logs[i]), all.Store.Logs[i].Name)
		}
	}
	for _, one := range ofCommands {
		send(one.desc, one.kind, float64(one.value(all.Commands)))
	}
	for _, state := range endedStates {
		send(ended, countOf, float64(all.Commands.Ended[state]), string(state))
	}
	if d := all.Delivery; d != nil {
		send(delivered, countOf, float64(d.Delivered), "delivered")
		send(delivered, countOf, float64(d.Refused), "refused")
		send(delivered, countOf, float64(d.Gone), "gone")
		send(deliverFailed, countOf, float64(d.Failed))
		send(deliverAhead, gaugeOf, float64(d.Ahead))
	}
}
