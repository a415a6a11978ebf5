package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

var update = flag.Bool("update", false, "write the description of the API to testdata/openapi.json")

// The description of the API is a promise: a change of it shows in review.
func TestOpenAPI(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		got := s.do("GET", "/v1/openapi.json", "")
		if got.status != 200 || got.header.Get("Content-Type") != "application/openapi+json" {
			t.Fatalf("%+v", got)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(got.body), "", "\t"); err != nil {
			t.Fatal(err)
		}
		indented.WriteByte('\n')
		const golden = "testdata/openapi.json"
		if *update {
			if err := os.WriteFile(golden, indented.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, indented.Bytes()) {
			t.Errorf("the description of the API has changed; see it with: go test -run OpenAPI -update . && git diff %s", golden)
		}
	})
}

func TestOpenAPIIsWhole(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		var doc struct {
			OpenAPI string
			Info    struct{ Title, Version string }
			Paths   map[string]map[string]struct {
				OperationID string
				Summary     string
				Parameters  []struct{ Name, In, Description string }
				RequestBody *struct{ Content map[string]any }
				Responses   map[string]struct{ Description string }
			}
		}
		body := s.do("GET", "/v1/openapi.json", "").body
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" {
			t.Errorf("%+v", doc)
		}
		want := []string{
			"DELETE /v1/devices/{id}/commands/{cid}",
			"DELETE /v1/devices/{id}/connection",
			"DELETE /v1/session",
			"GET /healthz",
			"GET /readyz",
			"GET /v1/commands",
			"GET /v1/devices",
			"GET /v1/devices/{id}",
			"GET /v1/devices/{id}/commands",
			"GET /v1/devices/{id}/commands/{cid}",
			"GET /v1/devices/{id}/frames",
			"GET /v1/devices/{id}/trace",
			"GET /v1/events",
			"GET /v1/session",
			"GET /v1/stats",
			"GET /v1/store",
			"GET /v1/types",
			"POST /v1/broadcast",
			"POST /v1/commands",
			"POST /v1/devices/{id}/ask",
			"POST /v1/devices/{id}/commands",
			"POST /v1/devices/{id}/commands/{cid}/retry",
			"POST /v1/devices/{id}/push",
			"POST /v1/drain",
			"POST /v1/reload",
			"POST /v1/session",
		}
		got := s.api.Routes()
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		ids := make(map[string]bool)
		for path, methods := range doc.Paths {
			for method, op := range methods {
				if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" {
					t.Errorf("%s %s: %+v", method, path, op)
				}
				ids[op.OperationID] = true
				for _, p := range op.Parameters {
					if p.Description == "" {
						t.Errorf("%s %s: nothing about %s", method, path, p.Name)
					}
				}
				for status, r := range op.Responses {
					if r.Description == "" {
						t.Errorf("%s %s: nothing about %s", method, path, status)
					}
				}
			}
		}
		wantRefs(t, body)
	})
}

// wantRefs demands that all references lead somewhere.
func wantRefs(t *testing.T, body string) {
	t.Helper()
	var doc map[string]any
	json.Unmarshal([]byte(body), &doc)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			for name, one := range v {
				if ref, is := one.(string); is && name == "$ref" {
					n++
					if schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
						t.Errorf("%s leads nowhere", ref)
					}
				}
				walk(one)
			}
		}
	}
	walk(doc)
	if n < 20 {
		t.Errorf("%d references", n)
	}
}
