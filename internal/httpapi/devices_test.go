package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// ids returns the ids of the devices on a page.
func ids(page map[string]any) (ids []string) {
	for _, d := range page["devices"].([]any) {
		ids = append(ids, d.(map[string]any)["id"].(string))
	}
	return ids
}

func TestListDevices(t *testing.T) {
	conf := gateway.Config{Groups: map[string][]string{"north hall": {"b2"}}}
	bubble(t, conf, httpapi.Config{}, func(t *testing.T, s *site) {
		if got := s.want(200, "GET", "/v1/devices", ""); fmt.Sprint(got) != "map[devices:[] next:]" {
			t.Errorf("%v", got)
		}
		for i := range 5 {
			s.board(longwire.Hello{ID: fmt.Sprint("b", i), Groups: []string{fmt.Sprint("g", i%2)}}, nil)
		}
		gone := s.board(named("c:1"), nil)
		gone.Close(longwire.ReasonClosed)
		synctest.Wait()
		for query, want := range map[string]string{
			"":                                 "b0 b1 b2 b3 b4 c:1",
			"?online=true":                     "b0 b1 b2 b3 b4",
			"?online=false":                    "c:1",
			"?group=g1":                        "b1 b3",
			"?group=g1&online=false":           "",
			"?group=north%20hall":              "b2",
			"?listener=boards&prefix=c":        "c:1",
			"?listener=others":                 "",
			"?prefix=b&limit=1000":             "b0 b1 b2 b3 b4",
			"?cursor=" + cursor("b3"):          "b4 c:1",
			"?cursor=" + cursor("b3x"):         "b4 c:1",
			"?cursor=" + cursor("zz"):          "",
			"?prefix=b&cursor=" + cursor("b3"): "b4",
		} {
			if got := s.want(200, "GET", "/v1/devices"+query, ""); strings.Join(ids(got), " ") != want || got["next"] != "" {
				t.Errorf("%q: %v, want %s", query, got, want)
			}
		}
		var all []string
		for next := ""; ; {
			page := s.want(200, "GET", "/v1/devices?limit=2&cursor="+next, "")
			all = append(all, ids(page)...)
			if len(ids(page)) != 2 {
				t.Errorf("%v", page)
			}
			if next = page["next"].(string); next == "" {
				break
			}
		}
		if !slices.Equal(all, []string{"b0", "b1", "b2", "b3", "b4", "c:1"}) {
			t.Errorf("%q", all)
		}
		for query, detail := range map[string]string{
			"?limit=0":                  `"query.limit"`,
			"?limit=1001":               `"query.limit"`,
			"?limit=x":                  `"query.limit"`,
			"?online=maybe":             `"query.online"`,
			"?colour=red":               `"query.colour"`,
			"?%1b%5B31m=red":            `\x1b`,
			"?cursor=%20":               "cursor",
			"?cursor=" + cursor("../x"): "cursor",
			"?cursor=" + cursor(strings.Repeat("x", 129)): "cursor",
			"?prefix=" + strings.Repeat("x", 129):         `"query.prefix"`,
		} {
			s.wantProblem(400, detail, "GET", "/v1/devices"+query, "")
		}
	})
}

// A list can be searched and ranked, and any part of it asked for.
func TestRankDevices(t *testing.T) {
	conf := gateway.Config{
		Groups:     map[string][]string{"North Hall": {"b2"}},
		Attributes: map[string]map[string]string{"b3": {"place": "Roof"}},
	}
	bubble(t, conf, httpapi.Config{}, func(t *testing.T, s *site) {
		for i := range 5 {
			c := s.board(longwire.Hello{ID: fmt.Sprint("b", i), Attributes: map[string]string{"place": "cellar", "n": fmt.Sprint(i)}}, nil)
			for range (i * 3) % 5 { // 0 3 1 4 2
				if err := c.Push(t.Context(), 0x10, 1); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		gone := s.board(named("c:1"), nil)
		gone.Close(longwire.ReasonClosed)
		synctest.Wait()
		for query, want := range map[string]string{
			"?sort=id":                     "b0 b1 b2 b3 b4 c:1, 6",
			"?sort=-id":                    "c:1 b4 b3 b2 b1 b0, 6",
			"?sort=-id&limit=2&offset=1":   "b4 b3, 6",
			"?offset=4":                    "b4 c:1, 6",
			"?offset=6":                    ", 6",
			"?offset=60":                   ", 6",
			"?sort=frames_in":              "b0 c:1 b2 b4 b1 b3, 6",
			"?sort=-frames_in&online=true": "b3 b1 b4 b2 b0, 5",
			"?sort=-bytes_in&limit=1":      "b3, 6",
			"?sort=online":                 "c:1 b0 b1 b2 b3 b4, 6",
			"?sort=-since&limit=3":         "b4 b3 b2, 6",
			"?sort=-epoch&limit=2":         "c:1 b4, 6",
			"?sort=-last_seen&limit=1":     "c:1, 6",
			"?sort=listener":               "b0 b1 b2 b3 b4 c:1, 6",
			"?search=B3":                   "b3, 1",
			"?search=north+h":              "b2, 1",
			"?search=roof":                 "b3, 1",
			"?search=CELLAR&sort=-id":      "b4 b2 b1 b0, 4", // the operator's word replaces that of b3
			"?search=127.0.0.1":            "b0 b1 b2 b3 b4 c:1, 6",
			"?search=nobody":               ", 0",
			"?search=b&prefix=b4&listener=boards&offset=0": "b4, 1",
		} {
			got := s.want(200, "GET", "/v1/devices"+query, "")
			if is := fmt.Sprintf("%s, %v", strings.Join(ids(got), " "), got["total"]); is != want || got["next"] != "" {
				t.Errorf("%q: %v, want %s", query, is, want)
			}
		}
		for query, detail := range map[string]string{
			"?sort=colour":                        `"query.sort"`,
			"?sort=--id":                          `"query.sort"`,
			"?offset=-1":                          `"query.offset"`,
			"?offset=1&cursor=" + cursor("b1"):    "use offset",
			"?search=" + strings.Repeat("x", 129): `"query.search"`,
		} {
			s.wantProblem(400, detail, "GET", "/v1/devices"+query, "")
		}
	})
}

func cursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

func TestDevice(t *testing.T) {
	conf := gateway.Config{Attributes: map[string]map[string]string{"a.b:c-d_e": {"site": "north"}}}
	bubble(t, conf, httpapi.Config{}, func(t *testing.T, s *site) {
		s.wantProblem(404, "ever been connected", "GET", "/v1/devices/a.b:c-d_e", "")
		s.wantProblem(404, "ever been connected", "DELETE", "/v1/devices/a.b:c-d_e/connection", "")
		s.wantProblem(404, "ever been connected", "GET", "/v1/devices/a.b:c-d_e/frames", "")
		c := s.board(longwire.Hello{ID: "a.b:c-d_e", Groups: []string{"g"}, Attributes: map[string]string{"fw": "1"}}, nil)
		synctest.Wait()
		began := time.Now().UTC().Format(time.RFC3339Nano)
		got := s.want(200, "GET", "/v1/devices/a%2Eb%3Ac-d_e", "")
		for name, want := range map[string]any{
			"id": "a.b:c-d_e", "online": true, "since": began, "last_seen": began, "listener": "boards", "identity": "anonymous",
			"frames_in": 0.0, "bytes_in": 0.0, "last_close": nil,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		if fmt.Sprint(got["groups"], got["attributes"]) != "[g] map[fw:1 site:north]" || len(got) != 15 {
			t.Errorf("%v", got)
		}
		time.Sleep(time.Hour)
		s.want(204, "DELETE", "/v1/devices/a.b:c-d_e/connection", "")
		<-c.Done()
		synctest.Wait()
		got = s.want(200, "GET", "/v1/devices/a.b:c-d_e", "")
		last, _ := got["last_close"].(map[string]any)
		if got["online"] != false || got["since"] != nil || last["reason"] != "kicked" || last["at"] != got["last_seen"] || got["last_seen"] == began {
			t.Errorf("%v", got)
		}
		s.wantProblem(409, "not connected", "DELETE", "/v1/devices/a.b:c-d_e/connection", "")
		if !strings.Contains(s.log.String(), `"disconnect over HTTP","device":"a.b:c-d_e"`) {
			t.Error(s.log.String())
		}
	})
}

func TestFrames(t *testing.T) {
	bubble(t, gateway.Config{Frames: 3, FrameData: true}, httpapi.Config{}, func(t *testing.T, s *site) {
		c, id := s.plainBoard()
		if got := s.want(200, "GET", "/v1/devices/"+id+"/frames", ""); fmt.Sprint(got) != "map[frames:[]]" {
			t.Errorf("%v", got)
		}
		w, r := frame.NewWriter(c, nil), frame.NewReader(c, nil)
		for _, data := range []string{"first", "\x1b[31m\xff\n"} {
			w.WriteFrame(16, []byte(data))
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
		frames := s.want(200, "GET", "/v1/devices/"+id+"/frames", "")["frames"].([]any)
		if len(frames) != 3 {
			t.Fatalf("%v", frames)
		}
		got := frames[1].(map[string]any)
		if got["direction"] != "in" || got["type"] != 16.0 || got["size"] != 7.0 || got["data"] != base64.StdEncoding.EncodeToString([]byte("\x1b[31m\xff\n")) {
			t.Errorf("%v", got)
		}
		if out := frames[2].(map[string]any); out["direction"] != "out" {
			t.Errorf("%v", out)
		}
	})
}

// Whatever stands where an id should is an id that nobody has.
func TestHostileIDs(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.wantProblem(404, "No device", "GET", "/v1/devices/%2E%2E", "") // for those who can write it
		for _, id := range []string{"\x1b[31m", "a\nb", "<script>alert(1)</script>", "a/b", "../../etc/passwd", "\xff\xfe", "ü", "\x00", " ", "%", "{id}", "*", strings.Repeat("x", 129), strings.Repeat("x", 10_000)} {
			for _, rest := range []string{"", "/frames"} {
				got := s.do("GET", "/v1/devices/"+url.PathEscape(id)+rest, "")
				if got.status != 404 || got.body != `{"type":"about:blank","title":"Not Found","status":404,"detail":"No device with this id has ever been connected."}`+"\n" {
					t.Errorf("%.20q: %d %q", id, got.status, got.body)
				}
			}
			s.wantProblem(404, "No device", "POST", "/v1/devices/"+url.PathEscape(id)+"/ask", `{"type":1}`)
		}
	})
}
