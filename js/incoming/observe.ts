// The option `observe`: the services that this one tells about itself.

/** The services that may read what a mesh tells about itself, such as its report. */
export type ObserveOption =
  | boolean
  | {
      /** Service ids, or SPIFFE ids of certificates. */
      readonly from: readonly string[];
    };
