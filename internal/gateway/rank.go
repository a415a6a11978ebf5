package gateway

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Column is what devices can be ranked by.
type Column string

// Columns are the names of all columns, which are those of the fields of a [Device].
const (
	ByID         Column = "id"
	ByOnline     Column = "online"
	BySince      Column = "since"
	ByLastSeen   Column = "last_seen"
	ByRemoteAddr Column = "remote_addr"
	ByListener   Column = "listener"
	ByEpoch      Column = "epoch"
	ByFramesIn   Column = "frames_in"
	ByFramesOut  Column = "frames_out"
	ByBytesIn    Column = "bytes_in"
	ByBytesOut   Column = "bytes_out"
)

// A Ranking says in which order a Query has its devices, and which of them.
type Ranking struct {
	By         Column // zero means ByID
	Descending bool
	Offset     int // how many to pass over
}

// ranked is a device with what decides its place.
type ranked struct {
	d      *device
	number int64
	text   string
}

// Rank returns the devices that a query selects, but for its After, in another order than that of
// their ids, and how many there are in all. It looks at all devices, a thousand at a time: 100,000 take some
// tens of milliseconds, while boards come and go.
func (g *Gateway) Rank(q Query, r Ranking) (page []Device, total int) {
	q.After = ""
	conf := g.settings.Load()
	var all []ranked
	for from, more := q.Prefix, true; more; {
		from, more = g.eachOf(q, conf, from, func(d *device) bool {
			all = append(all, rank(d, r.By))
			return true
		})
	}
	byID := func(a, b ranked) int { return strings.Compare(a.d.id, b.d.id) }
	sign := 1
	if r.Descending {
		sign = -1
	}
	switch {
	case r.By != "" && r.By != ByID:
		slices.SortFunc(all, func(a, b ranked) int {
			return cmp.Or(sign*cmp.Compare(a.number, b.number), sign*strings.Compare(a.text, b.text), byID(a, b))
		})
	case r.Descending:
		slices.Reverse(all)
	}
	first := min(max(r.Offset, 0), len(all))
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	for _, at := range all[first:min(first+q.Limit, len(all))] {
		page = append(page, g.lookLocked(at.d, conf)) // it may just have been forgotten
	}
	return page, len(all)
}

// rank returns a device with what decides its place in a column. The registry is locked.
func rank(d *device, by Column) ranked {
	r := ranked{d: d}
	switch by {
	case ByOnline:
		if d.session != nil {
			r.number = 1
		}
	case BySince:
		if d.session != nil {
			r.number = d.session.since.UnixMicro()
		}
	case ByLastSeen:
		r.number = d.seen.Load()
	case ByRemoteAddr:
		r.text = d.addr
	case ByListener:
		r.text = d.listener
	case ByEpoch:
		r.number = int64(d.epoch)
	case ByFramesIn:
		r.number = d.framesIn.Load()
	case ByFramesOut:
		r.number = d.framesOut.Load()
	case ByBytesIn:
		r.number = d.bytesIn.Load()
	case ByBytesOut:
		r.number = d.bytesOut.Load()
	}
	return r
}

// eachOf calls f with devices that a query selects, in the order of their ids and from an id on, while the
// registry is locked, until f returns false. When there is more to look at it returns where to go on.
func (g *Gateway) eachOf(q Query, conf *settings, from string, f func(*device) bool) (next string, more bool) {
	q.Search = strings.ToLower(q.Search)
	r := &g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked(conf, time.Now())
	looked := 0
	for d := range r.order.from(from) {
		if looked++; looked > maxLook {
			return d.id, true
		}
		if !strings.HasPrefix(d.id, q.Prefix) {
			break
		}
		if d.id != q.After && q.selects(d, conf) && !f(d) {
			break
		}
	}
	return "", false
}

// selects reports whether a device is one of those that are wanted, but for its place. Search is in
// small letters, and the registry is locked.
func (q *Query) selects(d *device, conf *settings) bool {
	switch {
	case q.Online != nil && *q.Online != (d.session != nil),
		q.Listener != "" && q.Listener != d.listener,
		q.Group != "" && !slices.Contains(d.groups, q.Group) && !slices.Contains(conf.groups[d.id], q.Group):
		return false
	}
	return q.Search == "" || d.mentions(q.Search, conf)
}

// mentions reports whether some text, in small letters, stands in what is known of a device.
func (d *device) mentions(text string, conf *settings) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(d.id) || in(d.addr) || slices.ContainsFunc(d.groups, in) || slices.ContainsFunc(conf.groups[d.id], in) {
		return true
	}
	for name, value := range d.attributes {
		if _, replaced := conf.Attributes[d.id][name]; !replaced && in(value) {
			return true
		}
	}
	for _, value := range conf.Attributes[d.id] {
		if in(value) {
			return true
		}
	}
	return false
}
