package bench

import (
	"time"
)

// LateBy is how long after its time a frame may be sent and not count as late.
const LateBy = 10 * time.Millisecond

// due returns the time of a frame in a run with a rate. The connections take turns,
// so that they do not all send at once.
func (c *conn) due(number int64) int64 {
	turn := float64(number)*float64(c.run.Conns) + float64(c.index)
	return int64(turn / float64(c.run.Rate) * float64(time.Second))
}

// dueBefore returns how many frames are due before a time.
func (c *conn) dueBefore(now int64) int64 {
	turns := float64(now) / float64(time.Second) * float64(c.run.Rate)
	n := max(0, int64((turns-float64(c.index))/float64(c.run.Conns)))
	for n > 0 && c.due(n-1) >= now { // both are rounded
		n--
	}
	for c.due(n) < now {
		n++
	}
	return n
}

// sendOnTime sends frames, each at its time, until it is time to end. Frames whose
// time has passed go out together, at once.
func (c *conn) sendOnTime() {
	var kept Schedule
	defer func() {
		kept.Unsent = max(0, c.dueBefore(c.run.until.Load())-c.sent.Load())
		c.run.addSchedule(kept)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.run.interrupted:
		case <-c.gone:
			return
		}
		sent, until, now := c.sent.Load(), c.run.until.Load(), c.run.now()
		next := c.due(sent)
		switch {
		case now >= until && next >= until || now >= until+int64(LateBy):
			c.endOfSchedule()
			return
		case now < min(next, until):
			timer.Reset(time.Duration(min(next, until) - now))
			continue
		}
		n := c.dueBefore(min(now+1, until)) - sent
		n = min(n, max(1, burst/int64(len(c.run.sample))))
		if c.write(int(n)) != nil {
			return
		}
		now = c.run.now()
		kept.Late += min(n, max(0, c.dueBefore(now-int64(LateBy))-sent))
		kept.MaxLag = max(kept.MaxLag, time.Duration(now-next))
		timer.Reset(0)
	}
}

// endOfSchedule lets the receiver know that nothing more will be sent. It may wait
// for a frame that never comes.
func (c *conn) endOfSchedule() {
	c.sentAll.Store(true)
	if c.allAnswered() {
		c.nc.SetReadDeadline(time.Now())
	}
}

// allAnswered reports whether everything that will have been sent is answered.
func (c *conn) allAnswered() bool {
	return c.sentAll.Load() && c.answered.Load() == c.sent.Load()
}

// receiveOnTime receives what sendOnTime has sent.
func (c *conn) receiveOnTime() {
	defer c.nc.Close()
	defer close(c.gone)
	for !c.allAnswered() {
		_, _, err := c.receive()
		switch {
		case err == nil:
		case isTimeout(err) && c.allAnswered():
			return
		default:
			c.run.fail(c.index, err, c.sent.Load()-c.answered.Load())
			return
		}
	}
}

func (r *run) addSchedule(s Schedule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schedule.Late += s.Late
	r.schedule.Unsent += s.Unsent
	r.schedule.MaxLag = max(r.schedule.MaxLag, s.MaxLag)
}
