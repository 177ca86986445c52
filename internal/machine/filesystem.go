package machine

// A FileSystem is the kind that a file lies in.
type FileSystem struct {
	Name    string
	Trouble string // why it does not keep what a store needs; empty: it does
	Remote  bool   // other machines use it, too, so that processes share no memory through it
}
