// Package dashboard is the page of the gateway: files that a browser runs, which talk to the
// API like any other program. They are part of the binary, need no building, and load nothing
// from elsewhere.
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed web
var web embed.FS

// policy lets the page run its own scripts and talk to its own gateway, and nothing else: not
// even a script of ours can make text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// A file is one of the page's, as it is sent.
type file struct {
	kind   string // its Content-Type
	tag    string // its ETag
	plain  []byte
	zipped []byte // nil where that is not smaller
}

// Handler returns what serves the page. It answers GET and HEAD of any path, those that it
// does not know with 404.
func Handler() http.Handler {
	pages, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the files are in the binary
	}
	return handler(pages)
}

// handler reads and compresses all files, once.
func handler(pages fs.FS) http.Handler {
	files := make(map[string]*file)
	err := fs.WalkDir(pages, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(pages, name)
		if err != nil {
			return err
		}
		files["/"+name] = newFile(name, data)
		return nil
	})
	if err != nil {
		panic(err)
	}
	files["/"] = files["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		if f == nil {
			http.Error(w, "There is nothing at this path.", http.StatusNotFound)
			return
		}
		f.serve(w, r)
	})
}

func newFile(name string, data []byte) *file {
	sum := sha256.Sum256(data)
	// The tag is a weak one, as what is compressed has the same.
	f := &file{kind: kinds[path.Ext(name)], tag: `W/"` + hex.EncodeToString(sum[:12]) + `"`, plain: data}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	z.Write(data)
	z.Close()
	if b.Len() < len(data) {
		f.zipped = b.Bytes()
	}
	return f
}

// kinds are those of files that a page has: the machine's own table may say anything.
var kinds = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".mjs":         "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".json":        "application/json",
	".webmanifest": "application/manifest+json",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".ico":         "image/x-icon",
	".woff2":       "font/woff2",
	".txt":         "text/plain; charset=utf-8",
	".md":          "text/plain; charset=utf-8",
}

// serve answers a GET or HEAD. A browser may keep the file, and asks each time whether it
// is still the one: after an update of the gateway nobody has an old page.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", f.tag)
	h.Set("Content-Type", f.kind)
	if strings.Contains(r.Header.Get("If-None-Match"), strings.TrimPrefix(f.tag, "W/")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	data := f.plain
	if f.zipped != nil && acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		data = f.zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(data))) // also of a HEAD
	w.Write(data)
}

// acceptsGzip reports whether gzip is among what a client can read, and not with a weight of 0.
func acceptsGzip(h http.Header) bool {
	for one := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(one, ";")
		_, value, weighted := strings.Cut(weight, "=")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return !weighted || err == nil && q > 0
		}
	}
	return false
}
