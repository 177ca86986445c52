module github.com/refrain-dev/refrain/test

go 1.26.0

require github.com/refrain-dev/refrain v0.0.0
