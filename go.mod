module github.com/refrain-dev/refrain

go 1.25.0
