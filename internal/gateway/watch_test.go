package gateway

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
)

// While somebody watches a device its frames are remembered with their data, whatever the
// configuration says, and a minute after the last watcher has gone they are forgotten.
func TestWatch(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		c := g.wantBoard("a", "", nil)
		c.Push(t.Context(), 7, longwire.Raw("nobody watches"))
		synctest.Wait()
		if _, err := g.Watch("b", 0); err != ErrUnknown {
			t.Error(err)
		}
		first, err := g.Watch("a", 0)
		if err != nil {
			t.Fatal(err)
		}
		c.Push(t.Context(), 7, longwire.Raw(make([]byte, 5000)))
		synctest.Wait()
		frames, missed, err := first.Next(t.Context())
		if err != nil || missed != 0 || len(frames) != 2 || frames[0].Direction != In || frames[0].Size != 5000 || len(frames[0].Data) != maxWatched || frames[1].Direction != Out {
			t.Fatalf("%+v, %d, %v", frames, missed, err)
		}

		// A second one begins with what is remembered, or behind what it has read.
		second, err := g.Watch("a", 0)
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := second.Next(t.Context()); err != nil || fmt.Sprint(again) != fmt.Sprint(frames) {
			t.Errorf("%+v, %v", again, err)
		}
		resumed, err := g.Watch("a", frames[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if rest, _, err := resumed.Next(t.Context()); err != nil || len(rest) != 1 || rest[0].ID != frames[1].ID {
			t.Errorf("%+v, %v", rest, err)
		}

		// Who is too slow is told; what is remembered stays bounded.
		for range 400 {
			c.Push(t.Context(), 8, longwire.Raw("small"))
		}
		synctest.Wait()
		if frames, missed, err := second.Next(t.Context()); err != nil || missed != 2*400-watchedFrames || len(frames) != watchedFrames {
			t.Errorf("%d frames, %d missed, %v", len(frames), missed, err)
		}
		for range 400 {
			c.Push(t.Context(), 8, longwire.Raw(make([]byte, 5000)))
		}
		synctest.Wait()
		if r := first.r; r.size > watchedBytes || len(r.frames) < 2*watchedBytes/(maxWatched+100)-2 {
			t.Errorf("%d bytes in %d frames", r.size, len(r.frames))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second.Next(ctx)
		if _, _, err := second.Next(ctx); err != context.DeadlineExceeded {
			t.Errorf("nothing new: %v", err)
		}

		// It goes on over connections, and after a short absence.
		g.Kick("a")
		synctest.Wait()
		c = g.wantBoard("a", "", nil)
		first.Close()
		second.Close()
		resumed.Close()
		time.Sleep(watchedFor / 2)
		c.Push(t.Context(), 9, longwire.Raw("between"))
		synctest.Wait()
		back, err := g.Watch("a", second.After)
		if err != nil {
			t.Fatal(err)
		}
		if frames, _, err := back.Next(t.Context()); err != nil || len(frames) != 2 || frames[0].Type != 9 || !back.Current() {
			t.Errorf("%+v, %v", frames, err)
		}
		time.Sleep(watchedFor / 2)
		if frames, err := g.Frames("a"); err != nil || len(frames) == 0 {
			t.Errorf("forgotten while somebody watches: %v", err)
		}
		back.Close()
		time.Sleep(watchedFor + time.Second)
		if frames, err := g.Frames("a"); err != nil || len(frames) != 0 || g.isRecorded(back.d) {
			t.Errorf("%d frames, %v", len(frames), err)
		}

		// Who comes back later than that is told that something may be missing.
		late, err := g.Watch("a", back.After)
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		c.Push(t.Context(), 9, longwire.Raw("later"))
		synctest.Wait()
		if frames, missed, err := late.Next(t.Context()); err != nil || missed != 1 || len(frames) != 2 {
			t.Errorf("%d frames, %d missed, %v", len(frames), missed, err)
		}
	})
}

// Watchers leave what the configuration has remembered, and no more.
func TestWatchWhatIsRecorded(t *testing.T) {
	for _, withData := range []bool{false, true} {
		bubble(t, &Config{Frames: 3, FrameData: withData}, func(t *testing.T, g *running) {
			wantThree := func(latest longwire.Type) {
				t.Helper()
				data := 0
				if withData {
					data = maxRecorded
				}
				frames, err := g.Frames("a")
				if err != nil || len(frames) != 3 || frames[1].Type != latest || len(frames[1].Data) != data || frames[1].Size != 5000 {
					t.Errorf("with data %v: %+v, %v", withData, frames, err)
				}
			}
			c := g.wantBoard("a", "", nil)
			push := func(kind longwire.Type) {
				for range 5 {
					c.Push(t.Context(), kind, longwire.Raw(make([]byte, 5000)))
				}
				synctest.Wait()
			}
			push(6)
			wantThree(6)
			w, err := g.Watch("a", 0)
			if err != nil {
				t.Fatal(err)
			}
			push(7)
			w.Close()
			time.Sleep(watchedFor + time.Second)
			wantThree(7)
			if r := w.r; w.d.frames.Load() != r || r.size > 3*maxRecorded {
				t.Errorf("with data %v: %d bytes", withData, r.size)
			}
			push(8)
			wantThree(8)
		})
	}
}

// What a reload says is not to be remembered any more is gone, also of devices that say nothing.
func TestReloadOfWhatIsRecorded(t *testing.T) {
	bubble(t, &Config{Frames: 9, FrameData: true}, func(t *testing.T, g *running) {
		for _, id := range []string{"a", "watched"} {
			c := g.wantBoard(id, "", nil)
			for range 5 {
				c.Push(t.Context(), 7, longwire.Raw("secret"))
			}
		}
		synctest.Wait()
		w, err := g.Watch("watched", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, test := range []struct {
			frames   int
			withData bool
		}{{4, true}, {4, false}, {0, false}} {
			conf := *g.settings.Load().Config
			conf.Frames, conf.FrameData = test.frames, test.withData
			if err := g.Reload(&conf); err != nil {
				t.Fatal(err)
			}
			frames, err := g.Frames("a")
			if err != nil || len(frames) != test.frames || test.frames > 0 && (frames[0].Data != nil) != test.withData {
				t.Errorf("%+v: %+v, %v", test, frames, err)
			}
			if frames, err := g.Frames("watched"); err != nil || len(frames) != 9 || string(frames[1].Data) != "secret" && string(frames[0].Data) != "secret" {
				t.Errorf("%+v: %+v, %v", test, frames, err)
			}
		}
	})
}
