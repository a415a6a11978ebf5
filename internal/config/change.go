package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Changes returns the paths of the settings that differ, and of those that name a file
// which does: first those that can change while connections are up, then those that
// need a restart. Listeners are the same when they have the same name; their number in
// a path is the one that they have in the later configuration.
//
// These need a restart: what the library copies when it begins to serve (frame, limits,
// times, TLS), what is opened once (addresses, data, the log file), and which listeners
// there are.
func Changes(old, later *Config) (applied, restart []string) {
	d := &differ{old: old, later: later}
	d.compare(reflect.ValueOf(old).Elem(), reflect.ValueOf(later).Elem(), "", false)
	return d.applied, d.restart
}

// Merge returns what is in force when a program that runs with old is told later
// without a restart. An error says that this would be a configuration that nobody has
// written and that is not allowed, as when a login goes that only a new address makes
// needless: then nothing should change.
func Merge(old, later *Config) (*Config, error) {
	merged := *later
	restore(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(old).Elem())
	merged.Listeners = slices.Clone(old.Listeners)
	for i, l := range old.Listeners {
		for _, changed := range later.Listeners {
			if changed.Name == l.Name {
				restore(reflect.ValueOf(&changed).Elem(), reflect.ValueOf(l))
				merged.Listeners[i] = changed
			}
		}
	}
	merged.contents = maps.Clone(old.contents)
	maps.Copy(merged.contents, later.contents)
	merged.name, merged.origins = "", nil // this stands in no file
	if err := merged.check(nil).err(); err != nil {
		return nil, fmt.Errorf("what can change without a restart does not fit what cannot; restart: %w", err)
	}
	merged.name, merged.origins = later.name, later.origins
	return &merged, nil
}

// restore gives a section back what needs a restart.
func restore(section, old reflect.Value) {
	for _, s := range settingsOf(section.Type()) {
		to, from := section.FieldByIndex(s.index), old.FieldByIndex(s.index)
		switch {
		case s.restart:
			to.Set(from)
		case to.Kind() == reflect.Struct:
			restore(to, from)
		case to.Kind() == reflect.Map && s.typ.Elem().Kind() == reflect.Struct:
			restored := reflect.MakeMap(to.Type())
			for _, k := range to.MapKeys() {
				elem := reflect.New(s.typ.Elem()).Elem()
				elem.Set(to.MapIndex(k))
				restore(elem, valueOf(from, k))
				restored.SetMapIndex(k, elem)
			}
			to.Set(restored)
		}
	}
}

// valueOf returns a value of a map, or the default when it is not in it.
func valueOf(m, key reflect.Value) reflect.Value {
	if v := m.MapIndex(key); v.IsValid() {
		return v
	}
	return newDefault(m.Type().Elem()).Elem()
}

// A differ finds out what has changed.
type differ struct {
	old, later       *Config
	applied, restart []string
}

func (d *differ) add(path string, restart bool) {
	if restart {
		d.restart = append(d.restart, path)
	} else {
		d.applied = append(d.applied, path)
	}
}

func (d *differ) compare(old, later reflect.Value, path string, restart bool) {
	for _, s := range settingsOf(old.Type()) {
		a, b := old.FieldByIndex(s.index), later.FieldByIndex(s.index)
		below, restart := join(path, s.name), restart || s.restart
		switch {
		case a.Type() == reflect.TypeFor[[]Listener]():
			d.compareListeners()
		case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
			d.compare(a.Elem(), b.Elem(), below, restart)
		case a.Kind() == reflect.Struct:
			d.compare(a, b, below, restart)
		case a.Kind() == reflect.Map && a.Type().Elem() != reflect.TypeFor[Hash]():
			d.compareMaps(a, b, below, restart)
		case !same(a, b):
			d.add(below, restart)
		case strings.HasSuffix(s.name, "_file") && d.old.contents[a.String()] != d.later.contents[a.String()]:
			d.add(below, s.restart) // those of TLS are read again, though another name needs a restart
		}
	}
}

func (d *differ) compareListeners() {
	olds := make(map[string]*Listener)
	for i := range d.old.Listeners {
		olds[d.old.Listeners[i].Name] = &d.old.Listeners[i]
	}
	for i := range d.later.Listeners {
		l := &d.later.Listeners[i]
		if old, ok := olds[l.Name]; ok {
			d.compare(reflect.ValueOf(old).Elem(), reflect.ValueOf(l).Elem(), listenerPath(i), false)
			delete(olds, l.Name)
		} else {
			d.add(listenerPath(i), true)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(olds)) {
		d.add("listeners."+name, true)
	}
}

// compareMaps tells of each name that has come, gone or changed.
func (d *differ) compareMaps(old, later reflect.Value, path string, restart bool) {
	keys := make(map[string]bool)
	for _, m := range []reflect.Value{old, later} {
		for _, k := range m.MapKeys() {
			keys[k.String()] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		key, below := reflect.ValueOf(k), join(path, k)
		a, b := old.MapIndex(key), later.MapIndex(key)
		switch {
		case a.IsValid() && b.IsValid() && a.Kind() == reflect.Struct:
			d.compare(a, b, below, restart)
		case !a.IsValid() || !b.IsValid():
			d.add(below, restart)
			d.compareRestart(valueOf(old, key), valueOf(later, key), below)
		case !same(a, b):
			d.add(below, restart)
		}
	}
}

// compareRestart compares only what needs a restart.
func (d *differ) compareRestart(old, later reflect.Value, path string) {
	if old.Kind() != reflect.Struct {
		return
	}
	for _, s := range settingsOf(old.Type()) {
		if s.restart && !same(old.FieldByIndex(s.index), later.FieldByIndex(s.index)) {
			d.add(join(path, s.name), true)
		}
	}
}

// same compares what can be set. A list or map without anything in it is none.
func same(a, b reflect.Value) bool {
	if (a.Kind() == reflect.Map || a.Kind() == reflect.Slice) && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
