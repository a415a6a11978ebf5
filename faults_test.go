package longwire_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page about faults names tests that there are, and every patch names one of its
// rows.
func TestFaultsDocument(t *testing.T) {
	page, err := os.ReadFile("docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "frame/*_test.go", "internal/*/*_test.go", "internal/dashboard/browser/*_test.go", "cmd/longwire/*_test.go"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(source.String(), "func "+m[1]+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
	patches, _ := filepath.Glob("testdata/mutants/*.patch")
	if len(patches) < 20 {
		t.Errorf("%d patches", len(patches))
	}
	for _, patch := range patches {
		b, err := os.ReadFile(patch)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`^Row: (\d+)\nPackage: \S+\nTest: (\w+)\n`).FindSubmatch(b)
		if m == nil {
			t.Errorf("%s does not say which row and test", patch)
			continue
		}
		if !regexp.MustCompile("(?m)^\\| " + string(m[1]) + " m \\|.*`" + string(m[2]) + "`").Match(page) {
			t.Errorf("%s: row %s is not marked m, or does not name %s", patch, m[1], m[2])
		}
		if _, err := exec.LookPath("git"); err == nil {
			if out, err := exec.Command("git", "apply", "--check", patch).CombinedOutput(); err != nil {
				t.Errorf("%s does not apply any more: %s", patch, out)
			}
		}
	}
}
