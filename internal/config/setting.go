package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A setting is what the tags of a field say.
type setting struct {
	name    string
	index   []int // of the field, for reflect
	typ     reflect.Type
	or      []string // words that it takes beside its values
	restart bool     // a change needs one
	short   string   // the setting that a lone value stands for
	def     string   // its default, where that depends on others
	example string   // a value, where there is no default
	doc     string
}

func (s *setting) takes(word string) bool { return slices.Contains(s.or, word) }

var settingsByType sync.Map // from reflect.Type to []setting

// settingsOf returns what can be set in a section of that type, in order.
func settingsOf(t reflect.Type) []setting {
	if known, ok := settingsByType.Load(t); ok {
		return known.([]setting)
	}
	var all []setting
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		typ := f.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		all = append(all, setting{
			name:    name,
			index:   f.Index,
			typ:     typ,
			or:      strings.Fields(f.Tag.Get("or")),
			restart: f.Tag.Get("change") == "restart",
			short:   f.Tag.Get("short"),
			def:     f.Tag.Get("default"),
			example: f.Tag.Get("example"),
			doc:     f.Tag.Get("doc"),
		})
	}
	settingsByType.Store(t, all)
	return all
}

func settingOf(t reflect.Type, name string) (setting, bool) {
	all := settingsOf(t)
	i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return all[i], true
}

// names returns the names of what can be set in a section.
func names(t reflect.Type) []string {
	all := settingsOf(t)
	list := make([]string, len(all))
	for i, s := range all {
		list[i] = s.name
	}
	return list
}

// eachValue calls f with the path of every setting that is one value, in the whole
// configuration. The path of one of a listener begins with listeners[].
func eachValue(f func(path string, s setting)) {
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for _, s := range settingsOf(t) {
			switch below := join(path, s.name); s.typ.Kind() {
			case reflect.Struct:
				walk(s.typ, below)
			case reflect.Slice:
				if s.typ.Elem().Kind() == reflect.Struct {
					walk(s.typ.Elem(), below+"[]")
				}
			case reflect.Map:
			default:
				f(below, s)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
}
