package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxWeight is what the page may weigh, with all that it can ever load, before it is compressed:
// it is looked at over a phone's network at two in the night.
const maxWeight = 300 << 10

// page returns the files of the page, by their paths in it.
func page(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := web.ReadFile(name)
		files[strings.TrimPrefix(name, "web/")] = string(data)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

func TestWeight(t *testing.T) {
	sum := 0
	for _, data := range page(t) {
		sum += len(data)
	}
	if sum > maxWeight {
		t.Errorf("the page weighs %d bytes, and may weigh %d", sum, maxWeight)
	}
	t.Logf("%d bytes", sum)
}

// What boards say becomes text and nothing else, and nothing is loaded from elsewhere. The browser
// refuses both as well; this says where it stands.
func TestSource(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\(|new Function|setTimeout\(\s*["'` + "`]")
	inline := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*[^<\s]|<style|\son[a-z]+\s*=\s*["']|\sstyle\s*=\s*["']|javascript:`)
	elsewhere := regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9][a-z0-9.-]*\.[a-z]{2,}`)
	for name, data := range page(t) {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		if found := markup.FindString(data); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		if found := inline.FindString(data); found != "" && path.Ext(name) == ".html" {
			t.Errorf("%s has %q, which its policy forbids", name, found)
		}
		for _, found := range elsewhere.FindAllString(data, -1) {
			if found != "http://www.w3.org" { // the name of SVG
				t.Errorf("%s knows another site: %q", name, found)
			}
		}
	}
}

// What others have made is what its README says, and stands beside its licence.
func TestVendored(t *testing.T) {
	files := page(t)
	readme := files["vendor/README.md"]
	for name, data := range files {
		file, vendored := strings.CutPrefix(name, "vendor/")
		if !vendored || file == "README.md" || strings.HasSuffix(file, ".LICENSE.txt") {
			continue
		}
		sum := sha256.Sum256([]byte(data))
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(file) + ` \|.* ` + hex.EncodeToString(sum[:]) + ` \|$`).MatchString(readme) {
			t.Errorf("vendor/README.md does not have the SHA-256 of %s, which is %x", file, sum)
		}
		library, _, _ := strings.Cut(file, ".")
		if files["vendor/"+library+".LICENSE.txt"] == "" {
			t.Errorf("there is no licence beside %s", file)
		}
	}
}
