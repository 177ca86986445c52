package refrainhttp

// watch reports what would have become of the request and forwards it as it is.
func (x *exchange) watch() {
	x.next.ServeHTTP(x.client, x.request)
}
