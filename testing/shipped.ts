import { Connection } from '@temporalio/client';
import { startServices, type Services } from './services.js';
import { startStack, type Stack, type StackOptions } from './servers/stack.js';

/** The product with the shipped policies, beside the example services that they call. */
export interface ShippedStack extends Stack {
  readonly services: Services;
  /** A connection to its Temporal, as of somebody who may write to its namespaces; made when it is first used. */
  readonly connection: Connection;
}

/** Starts it; services and connection end with the stack. */
export async function startShipped(options: Omit<StackOptions, 'env'> = {}): Promise<ShippedStack> {
  const services = await startServices();
  const stack = await startStack({ ...options, env: services.env });
  const connection = Connection.lazy({ address: stack.temporalAddress });
  const stop = async (): Promise<void> => {
    await connection.close();
    await stack.stop();
    await services.stop();
  };
  return { ...stack, services, connection, stop };
}
