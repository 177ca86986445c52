package admin

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// statuses are all values of the label status.
var statuses = []refrainhttp.Status{
	refrainhttp.StatusExecuted, refrainhttp.StatusReplayed, refrainhttp.StatusInProgress, refrainhttp.StatusMismatch,
	refrainhttp.StatusUnknown, refrainhttp.StatusExpired, refrainhttp.StatusBypassed, refrainhttp.StatusUnrecorded,
	refrainhttp.StatusUnkeyed, refrainhttp.StatusRefused,
}

// buckets go from a replay out of memory, far below a millisecond, to an execution at the default timeout.
var buckets = []float64{
	.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
}

// Metrics counts what the guard and the middleware do. It is the Observer of both. Its labels have few values, fixed
// beforehand: routes are the patterns of the file, and no key is ever among them.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	watched   *prometheus.CounterVec
	durations *prometheus.HistogramVec
	routes    atomic.Pointer[map[string]*routeMetrics]

	verdicts   []prometheus.Counter // by refrain.Verdict
	endings    []prometheus.Counter // by refrain.Ending
	probes     []prometheus.Counter // by refrain.Answer
	resolved   []prometheus.Counter // by refrain.Ending
	unrecorded prometheus.Counter
	recovered  prometheus.Counter
	stale      prometheus.Counter
	dropped    prometheus.Counter
	calls      map[string]callMetrics
	reloaded   prometheus.Gauge
	reloadTime prometheus.Gauge
	store      *prometheus.GaugeVec
}

// routeMetrics are the series of one route, looked up beforehand.
type routeMetrics struct {
	requests, watched  map[refrainhttp.Status]prometheus.Counter
	executed, replayed prometheus.Observer
}

// callMetrics are the series of one call of the store.
type callMetrics struct {
	took   prometheus.Observer
	errors prometheus.Counter
}

var (
	_ refrain.Observer     = (*Metrics)(nil)
	_ refrainhttp.Observer = (*Metrics)(nil)
)

// NewMetrics returns metrics that begin at zero.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.requests = m.counters("refrain_requests_total", "Requests on protected routes, by what the answer was.",
		"route", "status")
	m.watched = m.counters("refrain_observed_requests_total",
		"Requests on routes in mode observe, by what the answer would have been.", "route", "status")
	m.durations = m.histograms("refrain_request_duration_seconds",
		"Time to the answer, of first executions and of replays.", "route", "status")
	m.addGuard()
	m.addStore()
	m.addProcess(version)
	m.SetRoutes(nil)
	return m
}

func (m *Metrics) addGuard() {
	verdicts := m.counters("refrain_verdicts_total", "Decisions about attempts.", "verdict")
	m.verdicts = make([]prometheus.Counter, refrain.Expired+1)
	for v := refrain.Run; v <= refrain.Expired; v++ {
		m.verdicts[v] = verdicts.WithLabelValues(v.String())
	}
	endings := m.counters("refrain_endings_total", "Claims that ended and that the store knows of, by how.", "ending")
	m.endings = make([]prometheus.Counter, refrain.Undecided+1)
	for e := refrain.Finished; e <= refrain.Undecided; e++ {
		m.endings[e] = endings.WithLabelValues(e.String())
	}
	probes := m.counters("refrain_probes_total", "Questions to the upstream about unknown operations, by its answer.", "answer")
	m.probes = make([]prometheus.Counter, refrain.DidNotHappen+1)
	for a := refrain.CannotTell; a <= refrain.DidNotHappen; a++ {
		m.probes[a] = probes.WithLabelValues(strings.ReplaceAll(a.String(), " ", "-"))
	}
	resolved := m.counters("refrain_resolved_total", "Operations that an operator resolved, by how.", "ending")
	m.resolved = make([]prometheus.Counter, refrain.Forgotten+1)
	for _, e := range []refrain.Ending{refrain.Finished, refrain.Released, refrain.Forgotten} {
		m.resolved[e] = resolved.WithLabelValues(e.String())
	}
	m.unrecorded = m.counter("refrain_unrecorded_total", "Endings that the store did not take at first.")
	m.recovered = m.counter("refrain_recovered_total", "Endings that the store took later.")
	m.stale = m.counter("refrain_stale_total", "Endings and renewals refused because a newer claim exists.")
	m.dropped = m.counter("refrain_dropped_total", "Endings given up; their operations stay unknown.")
}

func (m *Metrics) addStore() {
	took := m.histograms("refrain_store_call_duration_seconds", "Time of calls to the store.", "call")
	failed := m.counters("refrain_store_errors_total", "Calls to the store that failed.", "call")
	m.calls = map[string]callMetrics{}
	for _, call := range []string{"claim", "settle", "renew"} {
		m.calls[call] = callMetrics{took: took.WithLabelValues(call), errors: failed.WithLabelValues(call)}
	}
	m.store = m.gauges("refrain_store_info", "Always 1; the label says how strong the store's promise is.", "tier")
}

func (m *Metrics) addProcess(version string) {
	m.gauges("refrain_build_info", "Always 1; the labels say what runs.", "version", "go_version").
		WithLabelValues(version, runtime.Version()).Set(1)
	m.reloaded = m.gauges("refrain_config_last_reload_successful", "Whether the newest configuration is in force.").
		WithLabelValues()
	m.reloadTime = m.gauges("refrain_config_last_reload_success_timestamp_seconds",
		"When the configuration in force was read.").WithLabelValues()
}

// A Source tells what changes by itself.
type Source interface {
	// Running returns how many claims are owned now.
	Running() int
	// Unrecorded returns how many endings wait for the store.
	Unrecorded() int
}

// Watch adds the gauges that the source tells. It is called once.
func (m *Metrics) Watch(s Source) {
	m.gaugeFunc("refrain_running", "Operations that this process executes now.", s.Running)
	m.gaugeFunc("refrain_unrecorded", "Endings that wait for the store now.", s.Unrecorded)
}

// SetTier notes how strong the store's promise is.
func (m *Metrics) SetTier(tier refrain.Tier) {
	m.store.Reset()
	m.store.WithLabelValues(string(tier)).Set(1)
}

// Reloaded notes whether a new configuration could be put in force.
func (m *Metrics) Reloaded(ok bool) {
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadTime.Set(float64(time.Now().UnixMilli()) / 1000)
}

// otherRoute stands for a route that SetRoutes did not name.
const otherRoute = "other"

// SetRoutes names the routes whose requests are counted apart.
func (m *Metrics) SetRoutes(patterns []string) {
	routes := make(map[string]*routeMetrics, len(patterns)+1)
	for _, p := range append([]string{otherRoute}, patterns...) {
		r := &routeMetrics{
			requests: map[refrainhttp.Status]prometheus.Counter{},
			watched:  map[refrainhttp.Status]prometheus.Counter{},
			executed: m.durations.WithLabelValues(p, string(refrainhttp.StatusExecuted)),
			replayed: m.durations.WithLabelValues(p, string(refrainhttp.StatusReplayed)),
		}
		for _, s := range statuses {
			r.requests[s] = m.requests.WithLabelValues(p, string(s))
			r.watched[s] = m.watched.WithLabelValues(p, string(s))
		}
		routes[p] = r
	}
	m.routes.Store(&routes)
}

// ObserveRequest implements refrainhttp.Observer.
func (m *Metrics) ObserveRequest(e refrainhttp.Event) {
	routes := *m.routes.Load()
	r, ok := routes[e.Route]
	if !ok {
		r = routes[otherRoute]
	}
	if e.Mode == refrainhttp.Observe {
		r.watched[e.Status].Inc()
		return
	}
	r.requests[e.Status].Inc()
	switch e.Status {
	case refrainhttp.StatusExecuted:
		r.executed.Observe(e.Took.Seconds())
	case refrainhttp.StatusReplayed:
		r.replayed.Observe(e.Took.Seconds())
	}
}

// Observe implements refrain.Observer.
func (m *Metrics) Observe(e refrain.Event) {
	switch e.Kind {
	case refrain.EventVerdict:
		m.verdicts[e.Verdict].Inc()
	case refrain.EventSettled:
		m.endings[e.Ending].Inc()
	case refrain.EventUnrecorded:
		m.unrecorded.Inc()
	case refrain.EventRecovered:
		m.recovered.Inc()
	case refrain.EventStale:
		m.stale.Inc()
	case refrain.EventDropped:
		m.dropped.Inc()
	case refrain.EventProbed:
		m.probes[e.Answer].Inc()
	case refrain.EventResolved:
		m.resolved[e.Ending].Inc()
	case refrain.EventStoreCall:
		c := m.calls[e.Call]
		c.took.Observe(e.Took.Seconds())
		if e.Err != nil && !errors.Is(e.Err, refrain.ErrStale) {
			c.errors.Inc()
		}
	}
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) gaugeFunc(name, help string, value func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
		func() float64 { return float64(value()) }))
}

func (m *Metrics) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}
