// Makes the calls that it reads, one a line, with stripe-node, and writes what became of each.
import { createInterface } from 'node:readline';
import Stripe from 'stripe';

const { hostname, port } = new URL(process.argv[2]);
const stripe = new Stripe('sk_test_1', { host: hostname, port, protocol: 'http', telemetry: false });

const create = ({ refund, amount, key }) => {
  const options = key ? { idempotencyKey: key } : {};
  return refund
    ? stripe.refunds.create({ amount, payment_intent: 'pi_1' }, options)
    : stripe.paymentIntents.create({ amount, currency: 'eur' }, options);
};

const told = (r) => ({ id: r.id, replayed: r.lastResponse.headers['idempotent-replayed'] === 'true' });
const failed = (e) => ({ error: e.type, code: e.code, status: e.statusCode });

for await (const line of createInterface({ input: process.stdin })) {
  const { number, call } = JSON.parse(line);
  create(call).then(told, failed).then((result) => console.log(JSON.stringify({ number, result })));
}
process.exit(0); // a call that is over leaves its timeout behind
