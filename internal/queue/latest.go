package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// maxScan is how many commands Latest looks at before it returns what it has found.
const maxScan = 10_000

// Latest returns commands of all boards, those that changed last first, at most limit of them and about 1 MiB of
// their data and answers: those behind a cursor, which is "" for the first. They are in one of the states, of which
// nil means all. Next is the cursor for more, "" where there are none. There may be fewer than the limit, even none,
// where few of many are wanted; the next ones are found from there.
func (q *Queue) Latest(ctx context.Context, states []State, cursor string, limit int) (commands []*Command, next string, err error) {
	var below uint64 // the place in the log in front of which to look
	if cursor == "" {
		last, err := q.conf.Log.Last(ctx)
		if err != nil {
			return nil, "", err
		}
		below = last + 1
	} else if below, err = strconv.ParseUint(cursor, 10, 64); err != nil || below == 0 {
		return nil, "", fmt.Errorf("%w %.40q", ErrCursor, cursor)
	}
	p := &page{limit: limit}
	looked, step := 0, uint64(256)
	for below > 1 {
		// What is there between two places, however few of the records that were there are left.
		from := below - min(below, step+1)
		found, whole := 0, true
		var part []*Command
		var places []uint64
		for after := from; ; {
			records, err := q.conf.Log.Read(ctx, "", after, 256)
			if err != nil {
				return nil, "", err
			}
			for _, r := range records {
				if r.Seq >= below {
					records = nil
					break
				}
				after = r.Seq
				found++
				if len(r.Data) == recordHead {
					continue // a mark of what was trimmed
				}
				c, err := decodeCommand(r.Data)
				if err == nil && q.keeps(c) && (states == nil || slices.Contains(states, c.State)) {
					part, places = append(part, c), append(places, r.Seq)
				}
			}
			if len(records) == 0 || after+1 >= below {
				break
			}
		}
		for i := len(part) - 1; i >= 0; i-- {
			if !p.add(part[i]) {
				below, whole = places[i]+1, false
				break
			}
		}
		if !whole {
			return p.commands, strconv.FormatUint(below, 10), nil
		}
		below = from + 1
		if looked += found; looked >= maxScan && below > 1 {
			return p.commands, strconv.FormatUint(below, 10), nil
		}
		if found < int(step/4) { // there are gaps
			step = min(4*step, 1<<20)
		} else {
			step = 256
		}
	}
	return p.commands, "", nil
}
