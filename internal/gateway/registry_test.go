package gateway

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// bubble runs a test of a gateway in fake time.
func bubble(t *testing.T, c *Config, test func(t *testing.T, g *running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := start(t, c)
		defer g.stop()
		test(t, g)
	})
}

func TestDeviceIsKnown(t *testing.T) {
	bubble(t, &Config{
		Groups:     map[string][]string{"line-1": {"meter-7"}},
		Attributes: map[string]map[string]string{"meter-7": {"site": "north"}},
	}, func(t *testing.T, g *running) {
		nc := g.dial()
		synctest.Wait()
		id := strings.NewReplacer("[", "", "]", "").Replace(nc.LocalAddr().String())
		all, _ := g.Devices(Query{Limit: 10})
		if len(all) != 1 || !all[0].Online || all[0].Identity != Anonymous || !ValidID(all[0].ID) {
			t.Fatalf("after a board without a name has connected (%s): %+v", id, all)
		}
		began := time.Now()
		time.Sleep(time.Minute)
		w, r := frame.NewWriter(nc, nil), frame.NewReader(nc, nil)
		for range 3 {
			w.WriteFrame(16, []byte("66666"))
			r.Next()
		}
		synctest.Wait()
		d := g.want(all[0].ID, true)
		if d.FramesIn != 3 || d.FramesOut != 3 || d.BytesIn != 3*13 || d.BytesOut != 3*int64(len(plainAnswer)+8) ||
			!d.LastSeen.Equal(time.Now()) || !d.Since.Equal(began) || d.LastClose != nil {
			t.Errorf("%+v", d)
		}
		nc.Close()
		synctest.Wait()
		if d = g.want(d.ID, false); d.Since != nil || d.LastClose == nil || d.LastClose.Reason != "peer_closed" {
			t.Errorf("away: %+v", d)
		}

		c := g.wantBoard("meter-7", "", nil)
		d = g.want("meter-7", true)
		if !slices.Equal(d.Groups, []string{"line-1"}) || d.Attributes["site"] != "north" {
			t.Errorf("%+v", d)
		}
		if all, _ := g.Devices(Query{Limit: 10}); len(all) != 2 {
			t.Errorf("a board that has said its name is still known by its address: %+v", all)
		}
		if s := g.Stats(); s.Devices != 2 || s.Online != 1 {
			t.Errorf("%+v", s)
		}
		c.Close(longwire.ReasonClosed)
		synctest.Wait()
		if s := g.Stats(); s.Online != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTakeover(t *testing.T) {
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Login: Login{Tokens: tokens("a", "1", "b", "2")}}}}, func(t *testing.T, g *running) {
		first := g.wantBoard("a", "1", nil)
		epoch := g.want("a", true).Epoch
		second := g.wantBoard("a", "1", nil)
		if d := g.want("a", true); d.Epoch <= epoch || first.Err() == nil || second.Err() != nil {
			t.Errorf("epoch %d after %d; first: %v, second: %v", d.Epoch, epoch, first.Err(), second.Err())
		}
		g.wantRefused("a", "2", "401")
		g.wantRefused("b", "1", "401")
		g.wantRefused("c", "1", "401")
		silent := g.dial()
		time.Sleep(12 * time.Second)
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a board that says nothing: %v", err)
		}
		g.want("a", true)
		second.Close(longwire.ReasonClosed)
		synctest.Wait()
		g.want("a", false)
		var names strings.Builder
		for _, e := range g.eventNames(EventDisconnect) {
			names.WriteString(fmt.Sprint(e.Device, " ", e.Reason, ", "))
		}
		if names.String() != "a replaced, a peer_closed, " {
			t.Errorf("ends: %s", names.String())
		}
		if s := g.Stats().Listeners["boards"]; s.LoginsRefused != 4 || s.Takeovers != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A board that has long been connected, known by its address, says who it is.
func TestTakeoverByAnOlderConnection(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		nc := g.dial()
		defer nc.Close()
		synctest.Wait()
		time.Sleep(time.Hour)
		first := g.wantBoard("a", "", nil)
		time.Sleep(time.Hour)
		if err := frame.NewWriter(nc, nil).WriteFrame(longwire.TypeHello, []byte(`{"id":"a"}`)); err != nil {
			t.Fatal(err)
		}
		<-first.Done()
		synctest.Wait()
		d := g.want("a", true)
		if d.LastClose == nil || d.LastClose.Reason != "replaced" || !d.LastClose.At.Equal(time.Now()) {
			t.Errorf("replaced just now, and not %+v", d.LastClose)
		}
		if lines := g.lines("two connections take one identity from each other"); len(lines) != 0 {
			t.Errorf("after an hour: %v", lines)
		}
	})
}

// The end of a connection that was replaced is noticed late, or at the same moment, and never
// makes the device look away.
func TestTakeoverTenThousandTimes(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 500
	}
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Login: Login{Tokens: tokens("a", "1")}}}}, func(t *testing.T, g *running) {
		conns := make([]*longwire.Conn, 0, 8)
		for i := range rounds {
			c, err := g.board("a", "1", nil)
			if err != nil {
				t.Fatal(err)
			}
			g.want("a", true) // whatever the old ones are doing
			if conns = append(conns, c); len(conns) == cap(conns) {
				for _, old := range conns[:len(conns)-1] { // their ends come all at once
					go old.Close(longwire.ReasonClosed)
				}
				conns = append(conns[:0], c)
			}
			if i%100 == 0 {
				synctest.Wait()
				g.want("a", true)
			}
		}
		synctest.Wait()
		d := g.want("a", true)
		if n := len(g.lines("two connections take one identity from each other")); n != 1 {
			t.Errorf("%d warnings at one time, want one", n)
		}
		if s := g.Stats(); s.Devices != 1 || s.Online != 1 || d.Epoch != uint64(rounds) || s.Listeners["boards"].Open != 1 {
			t.Errorf("epoch %d, %+v", d.Epoch, s)
		}
	})
}

func TestPolicies(t *testing.T) {
	login := Login{Tokens: tokens("a", "1", "b", "2")}
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Login: login, Policy: Reject}}}, func(t *testing.T, g *running) {
		first := g.wantBoard("a", "1", nil)
		g.wantRefused("a", "1", "409")
		if first.Err() != nil {
			t.Error("a refused connection has ended the first one")
		}
		first.Close(longwire.ReasonClosed)
		synctest.Wait()
		g.wantBoard("a", "1", nil)
	})
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Login: login, Policy: Single}}}, func(t *testing.T, g *running) {
		first := g.wantBoard("a", "1", nil)
		second := g.wantBoard("b", "2", nil)
		if first.Err() == nil || second.Err() != nil {
			t.Errorf("first: %v, second: %v", first.Err(), second.Err())
		}
		if d := g.want("a", false); d.LastClose.Reason != "replaced" {
			t.Errorf("%+v", d.LastClose)
		}
	})
}

func TestDevicesInPages(t *testing.T) {
	bubble(t, &Config{Groups: map[string][]string{"odd": {"m-01", "m-03", "m-05"}}}, func(t *testing.T, g *running) {
		for i := range 10 {
			c := g.wantBoard(fmt.Sprintf("m-%02d", i), "", nil)
			if i >= 5 {
				c.Close(longwire.ReasonClosed)
			}
		}
		g.wantBoard("zz", "", nil)
		synctest.Wait()
		yes, no := true, false
		for _, test := range []struct {
			q    Query
			want int
		}{
			{Query{}, 11},
			{Query{Online: &yes}, 6},
			{Query{Online: &no}, 5},
			{Query{Prefix: "m-"}, 10},
			{Query{Prefix: "m-", Online: &yes}, 5},
			{Query{Group: "odd"}, 3},
			{Query{Group: "none"}, 0},
			{Query{Listener: "boards"}, 11},
			{Query{Listener: "other"}, 0},
			{Query{Prefix: "zzz"}, 0},
		} {
			var ids []string
			q := test.q
			for q.Limit = 3; ; {
				page, more := g.Devices(q)
				for _, d := range page {
					ids = append(ids, d.ID)
				}
				if !more {
					break
				}
				if len(page) != 3 {
					t.Fatalf("%+v: a page of %d, and there are more", test.q, len(page))
				}
				q.After = page[2].ID
			}
			if len(ids) != test.want || !slices.IsSorted(ids) || len(slices.Compact(ids)) != test.want {
				t.Errorf("%+v: %v, want %d", test.q, ids, test.want)
			}
		}
	})
}

// The devices stay in order, however many there are and whichever come and go.
func TestManyDevicesInOrder(t *testing.T) {
	const visits, known = 4000, 2500
	bubble(t, &Config{MaxDevices: known, Groups: map[string][]string{"few": {"m-0000", "m-1777", "m-3999"}}}, func(t *testing.T, g *running) {
		var want []string
		for _, i := range rand.Perm(visits) {
			want = append(want, fmt.Sprintf("m-%04d", i))
			visit(t, g.dial(), want[len(want)-1])
			synctest.Wait()
		}
		want = want[visits-known:] // the others have been away for longer
		slices.Sort(want)
		list := func(q Query) (ids []string) {
			for more := true; more; {
				var page []Device
				page, more = g.Devices(q)
				for _, d := range page {
					ids = append(ids, d.ID)
				}
				if q.After = ids[len(ids)-1]; more && len(page) != q.Limit {
					t.Fatalf("a page of %d, and there are more", len(page))
				}
			}
			return ids
		}
		for _, limit := range []int{1000, 7} {
			if got := list(Query{Limit: limit}); !slices.Equal(got, want) {
				t.Errorf("in pages of %d there are %d: %v", limit, len(got), got)
			}
		}
		few := slices.DeleteFunc([]string{"m-0000", "m-1777", "m-3999"}, func(id string) bool { return !slices.Contains(want, id) })
		if got, more := g.Devices(Query{Group: "few", Limit: 3}); len(got) != len(few) || more {
			t.Errorf("%d of %v, more: %v", len(got), few, more)
		}
		from, _ := slices.BinarySearch(want, "m-2")
		to, _ := slices.BinarySearch(want, "m-3")
		if got := list(Query{Prefix: "m-2", Limit: 100}); !slices.Equal(got, want[from:to]) {
			t.Errorf("from %s on there are %d, want %d: %v", want[from], len(got), to-from, got)
		}
	})
}

func TestDevicesAreForgotten(t *testing.T) {
	bubble(t, &Config{MaxDevices: 3, KnownFor: time.Hour}, func(t *testing.T, g *running) {
		for i := range 5 {
			g.wantBoard(fmt.Sprint("m-", i), "", nil).Close(longwire.ReasonClosed)
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		g.wantBoard("here", "", nil)
		all, _ := g.Devices(Query{Limit: 10})
		if len(all) != 3 || all[0].ID != "here" || all[1].ID != "m-3" {
			t.Errorf("%+v", all)
		}
		time.Sleep(time.Hour)
		if all, _ = g.Devices(Query{Limit: 10}); len(all) != 1 || all[0].ID != "here" {
			t.Errorf("an hour later: %+v", all)
		}
	})
}

func TestKick(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		c := g.wantBoard("a", "", nil)
		if err := g.Kick("a"); err != nil {
			t.Error(err)
		}
		<-c.Done()
		synctest.Wait()
		if d := g.want("a", false); d.LastClose.Reason != "kicked" {
			t.Errorf("%+v", d.LastClose)
		}
		if err := g.Kick("a"); err != ErrAway {
			t.Error(err)
		}
		if err := g.Kick("b"); err != ErrUnknown {
			t.Error(err)
		}
	})
}
