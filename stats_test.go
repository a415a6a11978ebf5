package longwire_test

import (
	"reflect"
	"regexp"
	"testing"

	"github.com/longwire/longwire"
)

// Nothing that is counted is left out of All, and every number has a name of its own.
func TestStatsAll(t *testing.T) {
	s := longwire.Stats{Closed: make(map[longwire.Reason]int64)}
	want := make(map[int64]string)
	next := func(name string) int64 {
		n := int64(len(want) + 1)
		want[n] = name
		return n
	}
	for v, i := reflect.ValueOf(&s).Elem(), 0; i < v.NumField(); i++ {
		if f := v.Field(i); f.Kind() == reflect.Int64 {
			f.SetInt(next(v.Type().Field(i).Name))
		}
	}
	for r := longwire.Reason(1); r <= longwire.ReasonKicked; r++ {
		s.Closed[r] = next(r.String())
	}
	names := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := make(map[longwire.Metric]bool)
	help := make(map[string]string)
	last := ""
	for m, n := range s.All() {
		if want[n] == "" {
			t.Errorf("%+v is %d, which nobody has counted, or twice", m, n)
		}
		delete(want, n)
		if seen[m] || !names.MatchString(m.Name) || m.Help == "" || (m.Label == "") != (m.Value == "") {
			t.Errorf("%+v", m)
		}
		if seen[m] = true; help[m.Name] != "" && (help[m.Name] != m.Help || last != m.Name) {
			t.Errorf("%+v: those of one name are told apart by the label alone, and stand together", m)
		}
		help[m.Name], last = m.Help, m.Name
	}
	for _, name := range want {
		t.Errorf("%s is counted and not among them", name)
	}
	for range (longwire.Stats{}).All() {
		break // is allowed
	}
}
