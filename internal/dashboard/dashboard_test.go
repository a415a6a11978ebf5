package dashboard

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

func get(h http.Handler, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every file that is in the binary is served, with a policy that lets it load nothing from elsewhere.
func TestFiles(t *testing.T) {
	h := Handler()
	n := 0
	fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		n++
		data, _ := web.ReadFile(name)
		got := get(h, "GET", strings.TrimPrefix(name, "web"))
		if got.StatusCode != 200 || body(t, got.Body) != string(data) || kinds[path.Ext(name)] == "" {
			t.Errorf("%s: %v", name, got)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": policy,
			"Vary": "Accept-Encoding", "Content-Length": strconv.Itoa(len(data)),
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q", name, got.Header.Get(name))
			}
		}
		return nil
	})
	if n == 0 || body(t, get(h, "GET", "/").Body) != body(t, get(h, "GET", "/index.html").Body) {
		t.Errorf("%d files", n)
	}
	for _, path := range []string{"/nothing", "/web/index.html", "/../dashboard.go", "/index.html/", "//", "/%00"} {
		if got := get(h, "GET", path); got.StatusCode != 404 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'", "font-src 'self'",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains("; "+policy+";", "; "+want+";") {
			t.Errorf("not %s", want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Error(policy)
	}
}

func TestSending(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	pages := fstest.MapFS{"index.html": {Data: []byte("x")}, "a/app.js": {Data: []byte(long)}, "odd.xyz": {Data: []byte("y")}}
	h := handler(pages)
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/a/app.js": "text/javascript; charset=utf-8", "/odd.xyz": "application/octet-stream"} {
		if got := get(h, "GET", path).Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	for accepted, zipped := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "deflate,gzip ; q=1.0": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=x": false, "x-gzip": false, "*": false,
	} {
		got := get(h, "GET", "/a/app.js", "Accept-Encoding", accepted)
		if is := got.Header.Get("Content-Encoding") == "gzip"; is != zipped {
			t.Errorf("%q: %v", accepted, is)
			continue
		}
		length := got.ContentLength
		raw := body(t, got.Body)
		if length != int64(len(raw)) || zipped && length > 200 {
			t.Errorf("%q: %d bytes of %d", accepted, len(raw), length)
		}
		if zipped {
			z, err := gzip.NewReader(strings.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			raw = body(t, z)
		}
		if raw != long {
			t.Errorf("%q: %.20q", accepted, raw)
		}
	}
	if got := get(h, "GET", "/", "Accept-Encoding", "gzip"); got.Header.Get("Content-Encoding") != "" {
		t.Error("compressed to more than it is")
	}

	tag := get(h, "GET", "/a/app.js").Header.Get("ETag")
	for sent, want := range map[string]int{tag: 304, `"x", ` + tag: 304, strings.TrimPrefix(tag, "W/"): 304, `"x"`: 200, "": 200} {
		got := get(h, "GET", "/a/app.js", "If-None-Match", sent, "Accept-Encoding", "gzip")
		if got.StatusCode != want || got.Header.Get("ETag") != tag || want == 304 && body(t, got.Body) != "" {
			t.Errorf("%q: %v", sent, got)
		}
	}
	pages["a/app.js"] = &fstest.MapFile{Data: []byte(long + "!")}
	if got := get(handler(pages), "GET", "/a/app.js").Header.Get("ETag"); got == tag || got == "" {
		t.Errorf("%s, and %s before", got, tag)
	}
}

// A HEAD is told how much there would be, and gets nothing.
func TestHead(t *testing.T) {
	s := httptest.NewServer(handler(fstest.MapFS{"index.html": {Data: []byte(strings.Repeat("x", 10000))}}))
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	got, err := http.Head(s.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != 200 || got.ContentLength != 10000 && got.ContentLength > 200 || body(t, got.Body) != "" {
		t.Errorf("%v", got)
	}
}
