module github.com/longwire/longwire

go 1.26.0

require (
	github.com/DeRuina/timberjack v1.4.9
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.62.0
	pgregory.net/rapid v1.3.0
)

require github.com/klauspost/compress v1.18.7 // indirect
