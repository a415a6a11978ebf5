package config

import "reflect"

// Reveal is YAML with the secrets.
func (c *Config) Reveal() []byte {
	p := &printer{origins: c.origins, name: c.name, reveal: true}
	p.section(reflect.ValueOf(c).Elem(), "", "", true)
	return p.out.Bytes()
}

// EachSetting calls f with what there is to say about every setting, in order, and with
// every section before its settings.
func EachSetting(f func(path, def, variableName, doc string, section, restart bool)) {
	var walk func(v reflect.Value, path string, restart bool)
	walk = func(v reflect.Value, path string, restart bool) {
		for _, s := range settingsOf(v.Type()) {
			below, restart := join(path, s.name), restart || s.restart
			value, name := v.FieldByIndex(s.index), ""
			if value.Kind() != reflect.Map && value.Kind() != reflect.Slice {
				name = variable(below)
			}
			inner := sectionIn(value, s)
			if inner.IsValid() {
				f(below, "", "", s.doc, true, restart)
				walk(inner, below+map[reflect.Kind]string{reflect.Slice: "[]", reflect.Map: ".NAME"}[value.Kind()], restart)
				continue
			}
			def := s.def
			switch {
			case def != "":
			case s.takes("off") && value.IsZero():
				def = "off"
			case value.Kind() == reflect.Map || value.Kind() == reflect.Slice || s.example != "" || value.IsZero() && value.Kind() == reflect.String:
			default:
				def = (&printer{}).value(value, s)
			}
			f(below, def, name, s.doc, false, restart)
		}
	}
	walk(reflect.ValueOf(Default()).Elem(), "", false)
}

// sectionIn returns what is to be set in a setting that has settings.
func sectionIn(v reflect.Value, s setting) reflect.Value {
	switch {
	case v.Kind() == reflect.Struct:
		return v
	case v.Kind() == reflect.Pointer:
		return newDefault(s.typ).Elem()
	case v.Kind() == reflect.Slice && s.typ.Elem().Kind() == reflect.Struct:
		return v.Index(0)
	case v.Kind() == reflect.Map && s.typ.Elem().Kind() == reflect.Struct:
		return newDefault(s.typ.Elem()).Elem()
	}
	return reflect.Value{}
}
